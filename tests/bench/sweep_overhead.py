"""What a trial costs beyond its training, in a sweep and as a command of its own: python -m tests.bench.sweep_overhead

The same runs of the starter model, without Prefect: each as `pipelines.finetune`, and all as trials of one sweep. Both
evaluate the loss and verify quickly. Beyond training is the wall time of a side, less the seconds of its steps, over
its trials: imports and, of the sweep, the check before it and the best adapter's full evaluation and verification after
it are in it. `inside_a_trial_s` is what a further trial costs the sweep. The sides take turns, so that the load of the
machine meets both. The last line is JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RATES = ["0.004", "0.006", "0.008", "0.01", "0.012", "0.014", "0.016", "0.018"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=8, help="of each side, in each round")
    parser.add_argument("--steps", type=int, default=20)
    asked = parser.parse_args()
    rates, commands, sweeps, inside = RATES[: asked.trials], [], [], []
    with tempfile.TemporaryDirectory() as place:
        for number in range(asked.rounds):
            folder = Path(place) / str(number)
            alone = [_command(folder, asked.steps, rate) for rate in rates]
            commands.append(statistics.fmean(alone))
            found, trials = _sweep(folder / "sweep", asked.steps, rates)
            sweeps.append(found)
            inside += trials
    figures: dict[str, Any] = {"trials": asked.trials, "rounds": asked.rounds, "steps": asked.steps}
    one, other = statistics.median(commands), statistics.median(sweeps)
    figures |= {"command_s": round(one, 2), "sweep_s": round(other, 2), "ratio": round(one / other, 2)}
    figures["inside_a_trial_s"] = round(statistics.median(inside), 2)
    print(json.dumps(figures))


def _command(folder: Path, steps: int, rate: str) -> float:
    run = folder / rate
    spent = _timed(
        "finetune", *_same(steps), "verify=quick", "evaluate.generate=0", f"optim.lr={rate}", f"run_dir={run}"
    )
    return _beyond(spent, [run])


def _sweep(folder: Path, steps: int, rates: list[str]) -> tuple[float, list[float]]:
    space = [f"sweep.space.optim.lr.{end}={rate}" for end, rate in (("low", rates[0]), ("high", rates[-1]))]
    space += ["sweep.space.lora=null", "sweep.space.lora.rank=null"]
    own = [f"sweep.folder={folder}", "sweep.study=bench", "sweep.sampler=random", "sweep.pruner=none"]
    spent = _timed("sweep", "+sweep=rate_and_rank", *_same(steps), *own, *space, f"sweep.budget.trials={len(rates)}")
    report = json.loads((folder / "report.json").read_text())
    runs = [folder / "trials" / f"{row['number']:04d}" for row in report["trials"]]
    trials = [row["seconds"] - _trained(run) for row, run in zip(report["trials"], runs, strict=True)]
    return _beyond(spent, runs), trials


def _same(steps: int) -> list[str]:
    length = [f"train.steps={steps}", "train.eval_every=null", "train.save_every=null", "optim.warmup=2"]
    return ["+experiment=quickstart", "orchestrate=false", "sinks=[jsonl]", *length]


def _timed(module: str, *overrides: str) -> float:
    environment = {**os.environ, "GRAFTLINE_GPU_LOCK": f"{tempfile.gettempdir()}/graftline-bench.lock"}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", f"pipelines.{module}", *overrides],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def _trained(run: Path) -> float:
    return json.loads((run / "report.json").read_text())["train"]["seconds"]


def _beyond(spent: float, runs: list[Path]) -> float:
    return (spent - sum(_trained(run) for run in runs)) / len(runs)


if __name__ == "__main__":
    main()
