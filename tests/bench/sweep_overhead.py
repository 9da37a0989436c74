"""What a trial costs beyond its training, in a sweep and as a command of its own: python -m tests.bench.sweep_overhead

The same runs of the starter model under the same settings, without Prefect: each as `pipelines.finetune`, and all as
trials of one sweep. Both evaluate the loss and verify quickly; under --whole both are as they are shipped, so that
each command generates answers and runs every check, and of the trials the best one. Beyond training is the wall time
of a side, less the seconds of its steps, over its trials: imports and, of the sweep, the check before it and what is
done for the best adapter after it are in it. `inside_a_trial_s` is what a further trial costs the sweep, `cpu` all
processor time of a side over its trials, training included (little with --steps 4). The sides take turns, so that the
load of the machine meets both; a command goes before, for the token cache and the bytecode. The last line is JSON.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
RATES = ["0.004", "0.006", "0.008", "0.01", "0.012", "0.014", "0.016", "0.018"]


QUICK = ["verify=quick", "evaluate.generate=0"]


class Spent(NamedTuple):
    """Wall and processor seconds of a command."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=8, help="of each side, in each round")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--whole", action="store_true", help="both sides as they are shipped")
    asked = parser.parse_args()
    rates, commands, sweeps, inside = RATES[: asked.trials], list[Spent](), list[Spent](), list[float]()
    same = [*_same(asked.steps), *([] if asked.whole else QUICK)]
    with tempfile.TemporaryDirectory() as place:
        _command(Path(place) / "warm", same, rates[0])
        for number in range(asked.rounds):
            folder = Path(place) / str(number)
            alone = [_command(folder, same, rate) for rate in rates]
            commands.append(Spent(*map(statistics.fmean, zip(*alone, strict=True))))
            found, trials = _sweep(folder / "sweep", same, rates)
            sweeps.append(found)
            inside += trials
    figures: dict[str, Any] = {key: getattr(asked, key) for key in ("trials", "rounds", "steps", "whole")}
    one, other = (Spent(*map(statistics.median, zip(*side, strict=True))) for side in (commands, sweeps))
    figures |= {"command_s": round(one.wall, 2), "sweep_s": round(other.wall, 2)}
    figures |= {"ratio": round(one.wall / other.wall, 2), "inside_a_trial_s": round(statistics.median(inside), 2)}
    figures |= {"command_cpu_s": round(one.cpu, 2), "sweep_cpu_s": round(other.cpu, 2)}
    figures["cpu_ratio"] = round(one.cpu / other.cpu, 2)
    print(json.dumps(figures))


def _command(folder: Path, same: list[str], rate: str) -> Spent:
    run = folder / rate
    return _beyond(_timed("finetune", *same, f"optim.lr={rate}", f"run_dir={run}"), [run])


def _sweep(folder: Path, same: list[str], rates: list[str]) -> tuple[Spent, list[float]]:
    space = [f"sweep.space.optim.lr.{end}={rate}" for end, rate in (("low", rates[0]), ("high", rates[-1]))]
    space += ["sweep.space.lora=null", "sweep.space.lora.rank=null"]
    own = [f"sweep.folder={folder}", "sweep.study=bench", "sweep.sampler=random", "sweep.pruner=none"]
    spent = _timed("sweep", "+sweep=rate_and_rank", *same, *own, *space, f"sweep.budget.trials={len(rates)}")
    report = json.loads((folder / "report.json").read_text())
    runs = [folder / "trials" / f"{row['number']:04d}" for row in report["trials"]]
    trials = [row["seconds"] - _trained(run) for row, run in zip(report["trials"], runs, strict=True)]
    return _beyond(spent, runs), trials


def _same(steps: int) -> list[str]:
    length = [f"train.steps={steps}", "train.eval_every=null", "train.save_every=null", "optim.warmup=2"]
    return ["+experiment=quickstart", "orchestrate=false", "sinks=[jsonl]", *length]


def _timed(module: str, *overrides: str) -> Spent:
    own = {"GRAFTLINE_GPU_LOCK": f"{tempfile.gettempdir()}/graftline-bench.lock", "PYTHONDONTWRITEBYTECODE": ""}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", f"pipelines.{module}", *overrides],
        cwd=ROOT,
        env={**os.environ, **own},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(time.perf_counter() - began, cpu)


def _trained(run: Path) -> float:
    return json.loads((run / "report.json").read_text())["train"]["seconds"]


def _beyond(spent: Spent, runs: list[Path]) -> Spent:
    return Spent((spent.wall - sum(map(_trained, runs))) / len(runs), spent.cpu / len(runs))


if __name__ == "__main__":
    main()
