"""This project's step as a side of a benchmark: the loop of tasks/train.py without its files and sinks."""

import time
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from tasks.batch import Batch, Layout, Packed, batches
from tasks.device.blas import threads_for
from tasks.loss import MaskedCrossEntropy
from tasks.memory import Checkpoint
from tasks.model.family import largest_projection
from tasks.model.head import find_head
from tasks.optim import AdamW
from tasks.step.forward import Forward, usual_share
from tasks.step.update import Update
from tests.bench.rows import BenchRows

FULL = 0.75
"""An epoch's last packed batch may be short of rows; those with a smaller share of the fullest are not timed."""


def reset_peak() -> None:
    """Starts a new peak."""
    mx.reset_peak_memory()


def peak() -> int:
    """The most bytes that arrays held since."""
    return mx.get_peak_memory()


def resident() -> int:
    """The bytes that arrays hold now."""
    return mx.get_active_memory()


class Ours:
    """A step under a layout.

    Args:
        model: with adapters.
        rows: one round trains on each once, but for the last unfilled batch.
        chunk: positions whose logits are alive at a time; None computes the logits of all.
        compile: None does on a GPU.
        steps: batches a round at most.
    """

    def __init__(
        self,
        model: nn.Module,
        rows: BenchRows,
        layout: Layout,
        *,
        chunk: int | None = 1024,
        compile: bool | None = None,
        checkpoint: Checkpoint = "none",
        steps: int | None = None,
    ):
        self.model, self.rows, self.layout, self.steps = model, rows, layout, steps
        compiled = mx.default_device() == mx.gpu if compile is None else compile
        head = None if chunk is None else find_head(model)
        assert chunk is None or head is not None
        share = usual_share(rows, MaskedCrossEntropy()) if compiled else None
        self.forward = Forward(model, MaskedCrossEntropy(), head, chunk=chunk or 1, split=not compiled, usual=share)
        self.update = Update(self.forward, AdamW(lr=1e-5), checkpoint=checkpoint, compile=compiled)
        self.masters: Any = model.trainable_parameters()
        self.state = self.update.start(self.masters)
        self.times: list[float] = []

    def batches(self) -> Iterator[Batch]:
        """What a round trains on."""
        found = list(batches(self.rows, self.layout, seed=0))
        most = max(b.real_BT.mean() for b in found) if isinstance(self.layout, Packed) else 0
        whole = [b for b in found if b.real_BT.mean() >= FULL * most]
        return iter(whole[: self.steps])

    def round(self) -> tuple[int, float]:
        """Trains on each batch; (real tokens, seconds)."""
        with threads_for(largest_projection(self.model)):
            return self._round()

    def _round(self) -> tuple[int, float]:
        tokens, unread, source = 0, None, self.batches()
        mx.synchronize()
        start = time.perf_counter()
        for batch in source:
            done = self.update(self.masters, self.state, [self.forward.arrays(batch)], mx.random.key(0), 1e-5)
            mx.async_eval(done)
            self.masters, self.state = done.masters, done.state
            if unread is not None:
                float(unread.mean)
            unread, tokens = done.loss, tokens + batch.tokens
        mx.eval(self.masters, self.state)
        mx.synchronize()
        return tokens, time.perf_counter() - start

    def loss(self, rows: BenchRows) -> tuple[float, int]:
        """(the mean loss of these rows, their targets)."""
        self.model.update(self.masters)
        found = list(batches(rows, self.layout, seed=0))
        return self.forward.mean(found), sum(b.supervised_tokens for b in found)

    def reset(self) -> None:
        """Starts a new peak, with the allocator's cache given back."""
        mx.synchronize()
        mx.clear_cache()
        mx.reset_peak_memory()

    def peak(self) -> int:
        """The peak since, bytes."""
        return mx.get_peak_memory()

    def leave(self) -> None:
        """Gives the cache back to whoever comes next."""
        mx.clear_cache()
