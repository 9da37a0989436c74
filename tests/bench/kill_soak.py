"""Kills one run after another for as long as asked: python -m tests.bench.kill_soak --kills 200 --seed 1

Each chain is a run of the tiny model (dropout, packed rows, accumulation, validation, a checkpoint every 3 steps) that
is killed with SIGKILL at a step, in a save or at any time, started again by the same command, and in the end compared
with one that was never killed. The last line is JSON; the command exits 1 where a chain differs.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.durability.killing import Killed, outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--in-a-row", type=int, default=10, help="the most kills of one run")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = Killed(Path(folder), asked.steps)
        run.prepare()
        run.finish(Path(folder) / "whole")
        whole = outcome(Path(folder) / "whole")
        chains, wrong = 0, []
        while len(run.kills) < asked.kills:
            name, before = f"killed-{chains}", len(run.kills)
            found = run.chain(name, min(asked.in_a_row, asked.kills - before), seed=asked.seed * 100_000 + chains)
            differs = sorted(key for key in whole if found[key] != whole[key])
            if differs:
                wrong.append(name)
            print(f"{name}: {len(run.kills) - before} kills, {differs or 'the same'}")
            for kill in run.kills[before:]:
                print(f"  {kill}")
            chains += 1
    kinds = Counter(kill.partition(":")[0] for kill in run.kills)
    halves = sum("step-" in kill or "adapter" in kill for kill in run.kills)
    figures = {
        **{"kills": len(run.kills), "by_kind": dict(kinds), "in_a_save": halves, "chains": chains, "differ": wrong},
        **{"sha256": whole["sha256"], "seed": asked.seed, "seconds": round(time.monotonic() - began, 1)},
    }
    print(json.dumps(figures))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
