"""Do long runs stay flat? python -m tests.bench.flat --steps 2000

Trains the tiny model (dropout, packed rows, accumulation, a validation and a checkpoint every 100 steps) and prints
resident memory, open file handles and the time of a step over the first and the last tenth, side by side. The first
steps of all are left out: they make what is made once. The last line is JSON; the command exits 1 where memory or the
processor's time of a step grew by a tenth, or a handle was left open. `seconds`, by the clock on the wall, is shown and
not judged: it grows with what else the machine does.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads wait by spinning, which would count as work

from tasks.batch import Packed
from tasks.data import Data
from tasks.lora import LoRA
from tasks.model import Model
from tasks.settings import Train
from tasks.sink import SINKS, Console, SinkContext, Status, StepMetrics
from tasks.tokenize import tokenize
from tests.tiny import write_chat, write_model
from tests.training import recipe, train_in

WARM = 20


def resident() -> int:
    """Bytes of this process that are in memory now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # a Mac
        import subprocess

        said = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
        return int(said.stdout) * 1024


def handles() -> int:
    """Files that this process holds open."""
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))


class Watching(Console):
    """A sink that notes the state of the process at each step."""

    def __init__(self, _run: SinkContext):
        self._last = time.process_time()

    def write(self, metrics: StepMetrics) -> None:
        now = time.process_time()
        spent, self._last = now - self._last, now
        ROWS.append(
            {
                "resident_mb": resident() / 1e6,
                "mlx_mb": (metrics.active_memory_bytes + metrics.cache_memory_bytes) / 1e6,
                "handles": handles(),
                "cpu_seconds": spent,
                "seconds": metrics.seconds,
            }
        )

    def close(self, _status: Status) -> None:
        pass


ROWS: list[dict[str, float]] = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    steps = parser.parse_args().steps
    SINKS["console"] = Watching
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        model = Model(path=str(write_model(root / "model", "qwen3")))
        rows = {"train": write_chat(root / "train.jsonl", 400), "valid": write_chat(root / "valid.jsonl", 8, 1000)}
        cache = tokenize.fn(Data(train=str(rows["train"]), valid=str(rows["valid"])), model, root / "cache")
        train_in(
            root / "run",
            cache,
            model,
            recipe(
                rule=LoRA(rank=4, alpha=8.0, dropout=0.1),
                layout=Packed(tokens=256),
                steps=steps,
                train=Train(accumulate=2, eval_every=100, save_every=100),
            ),
            ("console", "jsonl"),
        )
    tenth, warm = max(1, steps // 10), ROWS[WARM:]
    first, last = warm[:tenth], warm[-tenth:]
    figures: dict[str, dict[str, float]] = {}
    for name in ROWS[0]:
        medians = [statistics.median(row[name] for row in part) for part in (first, last)]
        figures[name] = {"first": round(medians[0], 5), "last": round(medians[1], 5)}
        print(f"{name:12}  {medians[0]:12.4f}  {medians[1]:12.4f}  {medians[1] / max(medians[0], 1e-12) - 1:+8.1%}")
    allowed = {"resident_mb": 1.1, "mlx_mb": 1.1, "handles": 1.0, "cpu_seconds": 1.1}
    grew = [name for name, factor in allowed.items() if figures[name]["last"] > figures[name]["first"] * factor]
    print(json.dumps({"steps": steps, **figures, "grew": grew}))
    sys.exit(1 if grew else 0)


if __name__ == "__main__":
    main()
