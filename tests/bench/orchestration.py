"""What Prefect costs a run: python -m tests.bench.orchestration --rounds 5 --steps 3

The same short quickstart as a whole command, in turn: as plain functions (orchestrate=false), with a running server,
with the private server that a command starts for itself, and with the one that Prefect would start. Each is a process;
what it costs beyond the plain one is a median over the rounds. Then the parts, in one process beside the server. A
loaded machine stretches the seconds, so that processor seconds (of the command and its private server) stand beside
them. The last line is JSON.
"""

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.serving import ROOT, start_server

QUICK = [
    *("+experiment=quickstart", "verify=quick", "optim.warmup=1", "train.eval_every=null", "evaluate.examples=8"),
    *("evaluate.generate=0", "sinks=[jsonl]"),
]
PREFECTS_OWN = "import sys, pipelines.finetune as f; f.main(sys.argv[1:])"  # no private server was begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        served, process = start_server(Path(folder) / "served", recipe=False)
        alone = {**served, "PREFECT_HOME": f"{folder}/alone"}
        del alone["PREFECT_API_URL"]
        run, own = [sys.executable, "-m", "pipelines.finetune"], [sys.executable, "-c", PREFECTS_OWN]
        sides = {
            "plain functions": (run, ["orchestrate=false"], served),
            "a running server": (run, [], served),
            "a private server": (run, [], alone),
            "Prefect's own private server": (own, [], alone),
        }
        try:
            found = rounds(sides, asked.rounds, [*QUICK, f"train.steps={asked.steps}"], Path(folder))
            parts = json.loads(_output([sys.executable, "-m", "tests.bench.orchestration_parts"], served))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    for name, side in found.items():
        print(f"{name:32}" + "".join(f"{key} {value:7.2f}   " for key, value in side.items()))
    for name, milliseconds in parts.items():
        print(f"{name:60}{milliseconds:10.1f} ms")
    print(json.dumps({"command": "orchestration", **vars(asked), "sides": found, "parts": parts}))


def rounds(
    sides: dict[str, tuple[list[str], list[str], dict[str, str]]], count: int, overrides: list[str], folder: Path
) -> dict[str, dict[str, float]]:
    """Seconds and processor seconds of each side, and what they are beyond the first side's, round by round."""
    seen = {name: list[tuple[float, float]]() for name in sides}
    for n in range(count + 1):  # the first one warms the caches, makes the databases, and does not count
        for name, (command, more, environment) in sides.items():
            line = [*command, *overrides, *more, f"run_dir={folder}/{n}-{len(name)}"]
            took = _timed(lambda line=line, environment=environment: _output(line, environment))
            if n:
                seen[name].append(took)
    plain = next(iter(seen.values()))
    return {
        name: {
            "s": round(statistics.median(wall for wall, _ in took), 2),
            "cpu_s": round(statistics.median(cpu for _, cpu in took), 2),
            "more_s": round(statistics.median(a[0] - b[0] for a, b in zip(took, plain, strict=True)), 2),
            "more_cpu_s": round(statistics.median(a[1] - b[1] for a, b in zip(took, plain, strict=True)), 2),
        }
        for name, took in seen.items()
    }


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.monotonic(), _children()
    work()
    return time.monotonic() - wall, _children() - cpu


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _output(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]


if __name__ == "__main__":
    main()
