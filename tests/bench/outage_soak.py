"""Locks the SQLite file of a study at random moments, or stops its PostgreSQL.

python -m tests.bench.outage_soak --seconds 20 80
python -m tests.bench.outage_soak --postgres --seconds 5 15 45 90

A search of six trials, whose runs are a stand-in that takes half a second each, is done once undisturbed and once for
each length of outage. Prints a line of JSON for each: whether trials, values and curves are the same. Exits 1 if not.
"""

import argparse
import json
import os
import random
import sqlite3
import tempfile
import threading
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pipelines.search.trial as trial_module
import pipelines.search.work as module
from pipelines.search.trials import best_of, trials
from pipelines.search.would_fit import Fits
from tests.pipelines.search.postgres import Server, postgres
from tests.pipelines.search.searching import search_in, stand_in, study_of

TOTAL = ("sweep.budget.trials=6", "sweep.sampler.startup=2", "sweep.pruner.startup=2")


BEGUN = threading.Event()
"""A trial trains: a PostgreSQL that does not answer the very first question is refused, not waited for."""


def _loss(run: Any, step: int) -> float:
    BEGUN.set()
    time.sleep(0.1)
    return abs(run.optim.lr - 0.01) * 100 + 1 / step


def searched(folder: Path, *overrides: str) -> list[dict[str, Any]]:
    """The trials of a search in a folder, but for what a clock says of them."""
    search = search_in(folder, *TOTAL, *overrides)
    module.work(search, lambda stage: stage)
    study = study_of(search)
    rows = trials(search, study)
    study.storage.rdb.engine.dispose()  # a server waits for its connections
    return [{key: value for key, value in row.items() if key not in ("seconds", "where")} for row in rows]


def lock(path: Path, seconds: float, moment: float) -> None:
    """Locks a file of SQLite for some seconds, some time after it came to be."""
    while not path.exists():
        time.sleep(0.01)
    time.sleep(moment)
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        connection.execute("COMMIT")


def away(server: Server, seconds: float, moment: float) -> None:
    """Stops a PostgreSQL at once, as a crash does, and starts it some seconds later."""
    BEGUN.wait()
    time.sleep(moment)
    server.stop()
    time.sleep(seconds)
    server.start()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[20.0, 80.0])
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng, differ = random.Random(asked.seed), False
    module.conclude = lambda *_: {}
    trial_module.would_fit = lambda run: Fits(fits=True, peak_bytes=1, budget_bytes=2)
    trial_module.run_stages = stand_in(_loss)
    with tempfile.TemporaryDirectory() as name:
        os.environ["GRAFTLINE_GPU_LOCK"] = f"{name}/gpu.lock"
        whole = searched(Path(name) / "whole")
        for number, seconds in enumerate(asked.seconds):
            folder, moment = Path(name) / f"away-{number}", rng.uniform(1.0, 4.0)
            BEGUN.clear()
            with postgres() if asked.postgres else nullcontext() as server:
                storage = [f"sweep.storage={server.url}"] if server else []
                outage = (away, (server,)) if server else (lock, (folder / "study.db",))
                thread = threading.Thread(target=outage[0], args=(*outage[1], seconds, moment))
                thread.start()
                began = time.monotonic()
                rows = searched(folder, *storage)
                thread.join()
            differ = differ or rows != whole
            best = best_of(rows, "minimize")
            line = {"seconds": seconds, "moment": round(moment, 2), "trials": len(rows), "same": rows == whole}
            print(json.dumps({**line, "best": best and best["number"], "took": round(time.monotonic() - began, 1)}))
    return int(differ)


if __name__ == "__main__":
    raise SystemExit(main())
