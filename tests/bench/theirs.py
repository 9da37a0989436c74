"""mlx_lm.lora 0.32.2 as a side of a benchmark: its own `train`, loss, batches and LoRA layers, unmodified.

Its trainer asks an iterator for the next batch, so the clock and the other sides' rounds live in that iterator: what
lies between two requests is one step of theirs.
"""

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
from mlx_lm.tuner import trainer
from mlx_lm.tuner.datasets import CacheDataset
from mlx_lm.tuner.utils import linear_to_lora_layers

from tests.bench.rows import BenchRows
from tests.bench.shapes import RANK, SCALE


class _Data:
    def __init__(self, rows: BenchRows):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, int]:
        return {"index": index}  # as theirs, a dict of one key, which is what they sort by

    def process(self, row: dict[str, int]) -> tuple[list[int], int]:
        index = row["index"]
        return self.rows.ids(index).tolist(), self.rows.offset(index)


class Theirs:
    """Their trainer on our rows; one round is every batch once.

    Args:
        model: frozen, without adapters; gets theirs on all linears.
        rows: as for the other sides.
        batch: rows a batch.
    """

    def __init__(self, model: nn.Module, rows: BenchRows, batch: int, longest: int = 2048, steps: int | None = None):
        self.model, self.rows, self.batch, self.longest = model, rows, batch, longest
        linear_to_lora_layers(model, -1, {"rank": RANK, "scale": SCALE, "dropout": 0.0})
        mx.eval(model.parameters())
        np.random.seed(0)
        self.batches = self._batches(rows)[:steps]
        self.tokens = int(sum(int(lengths[:, 1].sum()) for _, lengths in self.batches))
        self.first: float | None = None

    def _batches(self, rows: BenchRows) -> list[Any]:
        data = CacheDataset(_Data(rows))
        return list(trainer.iterate_batches(data, self.batch, self.longest, loop=False))

    def run(self, rounds: int, warm: int, between: Callable[[], None]) -> list[tuple[float, int]]:
        """Trains, with `between` before each round; (seconds, peak bytes) of each timed round."""
        measured: list[tuple[float, int]] = []

        def schedule(**_given: Any) -> Iterator[Any]:
            for n in range(warm):
                start = time.perf_counter()
                yield from self.batches
                if n == 0:
                    self.first = time.perf_counter() - start
            for _ in range(rounds):
                between()
                yield self.batches[0]  # untimed, so that each round starts alike
                mx.synchronize()
                mx.reset_peak_memory()
                start = time.perf_counter()
                yield from self.batches
                mx.synchronize()
                measured.append((time.perf_counter() - start, mx.get_peak_memory()))

        iters = (warm + rounds) * len(self.batches) + rounds
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            args = trainer.TrainingArgs(
                batch_size=self.batch,
                iters=iters + 1,  # one more than there are: they stop asking when the iterator ends
                steps_per_report=10**9,
                steps_per_save=10**9,
                max_seq_length=self.longest,
                adapter_file=str(Path(folder) / "adapters.safetensors"),
            )
            optimizer = mlx.optimizers.Adam(learning_rate=1e-5)
            trainer.train(self.model, optimizer, _Data(self.rows), args=args, iterate_batches=schedule)  # type: ignore
        return measured

    def loss(self, rows: BenchRows) -> tuple[float, int]:
        """(their loss over these rows, each batch by its targets; the targets, one padding token a row among them)."""
        self.model.eval()
        total, count = 0.0, 0
        for batch in self._batches(rows):
            value, targets = trainer.default_loss(self.model, *batch)
            total, count = total + float(value) * int(targets), count + int(targets)
            mx.clear_cache()
        self.model.train()
        return total / count, count
