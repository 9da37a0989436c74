"""How long does stopping take? python -m tests.bench.stopping --stops 20 --seed 1

Starts the quickstart, as a person does, and sends one SIGINT or SIGTERM at a random moment between its start and its
usual end; then waits. A line for each: the stage that the log had come to, the exit code, the seconds until it ended
and the newest checkpoint. At the end the same command goes on from what the last one saved. The last line is JSON; the
command exits 1 where an exit code is not of the contract or stopping took more than `--most` seconds.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def command(run_dir: Path, more: list[str]) -> list[str]:
    """The quickstart, with a checkpoint now and then."""
    return [sys.executable, "-m", "pipelines.finetune", "+experiment=quickstart", f"run_dir={run_dir}", *more]


def stage(run_dir: Path) -> str:
    """What the run's own log says last, without its time."""
    try:
        return (run_dir / "run.log").read_text().splitlines()[-1].split(" INFO ")[-1][:48]
    except (OSError, IndexError):
        return "(no log yet)"


def stopped(folder: Path, usual: float, rng: random.Random, count: int, more: list[str]) -> Iterator[dict[str, object]]:
    """Starts and stops so many runs."""
    for n in range(count):
        run_dir, number = folder / f"run-{n}", rng.choice(list(CODES))
        env = {**os.environ, "GRAFTLINE_GPU_LOCK": str(folder / "gpu.lock")}
        with (folder / "said").open("ab") as said:
            process = subprocess.Popen(command(run_dir, more), stdout=said, stderr=said, env=env)
            time.sleep(rng.uniform(0.3, usual))
            at, alive = stage(run_dir), process.poll() is None
            process.send_signal(number)
            began = time.monotonic()
            code = process.wait(300)
        saved = max((path.name for path in run_dir.glob("checkpoints/step-*")), default=None)
        yield {
            **{"signal": number.name, "at": at, "code": code, "seconds": round(time.monotonic() - began, 2)},
            **{"saved": saved, "alive": alive, "sound": code in ((CODES[number], -number, 0) if alive else (0,))},
        }


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=float, default=30.0, help="seconds that stopping may take")
    parser.add_argument("more", nargs="*", help="overrides, such as orchestrate=false")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.monotonic()
        subprocess.run(command(folder / "whole", asked.more), check=True, capture_output=True)
        usual, found = time.monotonic() - began, []
        for one in stopped(folder, usual, random.Random(asked.seed), asked.stops, asked.more):
            print("{signal:8} {code:>4} after {seconds:6.2f} s  saved {saved!s:12} at: {at}".format(**one), flush=True)
            found.append(one)
        unsound = [one for one in found if not one["sound"] or float(str(one["seconds"])) > asked.most]
        for one in unsound:
            print(f"not as the contract says: {one}")
        longest = max(float(str(one["seconds"])) for one in found)
    print(
        json.dumps({"stops": len(found), "seconds_most": longest, "usual_seconds": round(usual, 1), "seed": asked.seed})
    )
    sys.exit(1 if unsound else 0)


if __name__ == "__main__":
    main()
