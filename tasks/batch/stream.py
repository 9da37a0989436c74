"""Epoch after epoch of batches under a layout, from any position: what training walks along."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from tasks.batch.batch import Batch, make_batch, padded_width


class Layout(Protocol):
    """A layout decides which examples share a batch."""

    def plan(self, lengths: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
        """The examples of each batch of one epoch; each example once."""
        ...


class Rows(Protocol):
    """Tokenized examples by index, such as a split of the token cache."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, integers [n]."""
        ...

    def ids(self, index: int) -> np.ndarray:
        """Token ids of one example."""
        ...

    def weights(self, index: int) -> np.ndarray:
        """The weight of each token as a target."""
        ...


def epoch_batches(rows: Rows, layout: Layout, *, seed: int, epoch: int) -> list[list[int]]:
    """The examples of each batch of one epoch; the same seed and epoch give the same list."""
    return layout.plan(rows.lengths.tolist(), np.random.default_rng([seed, epoch]))


def batches(rows: Rows, layout: Layout, *, seed: int, epoch: int = 0) -> Iterator[Batch]:
    """The batches of one epoch under a layout."""
    for examples in epoch_batches(rows, layout, seed=seed, epoch=epoch):
        yield make_batch([(rows.ids(i), rows.weights(i)) for i in examples], examples)


def stream(rows: Rows, layout: Layout, *, seed: int, start: int = 0) -> Iterator[Batch]:
    """Batches without end, the next epoch after the last, from the `start`-th on (counted from the very first)."""
    assert len(rows) > 0, "an empty split has no batches"
    epoch, skipped = 0, 0
    while True:
        plan = epoch_batches(rows, layout, seed=seed, epoch=epoch)
        for examples in plan[max(0, start - skipped) :]:
            yield make_batch([(rows.ids(i), rows.weights(i)) for i in examples], examples)
        skipped += len(plan)
        epoch += 1


def padding_share(rows: Rows, layout: Layout, *, seed: int) -> float:
    """The share of positions of the first epoch that are padding, 0 to 1."""
    lengths = rows.lengths
    slots = real = 0
    for examples in epoch_batches(rows, layout, seed=seed, epoch=0):
        slots += len(examples) * max(padded_width(int(lengths[i])) for i in examples)
        real += sum(int(lengths[i]) - 1 for i in examples)
    return 1 - real / slots if slots else 0.0
