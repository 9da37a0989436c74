"""Epoch after epoch of batches under a layout, from any position: what training walks along."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

import numpy as np

from tasks.batch.batch import Batch, make_batch, positions


class Layout(Protocol):
    """A layout decides which examples share a batch; `packs` says whether several may share a row."""

    packs: ClassVar[bool]

    def plan(self, lengths: Sequence[int], rng: np.random.Generator) -> list[list[list[int]]]:
        """The examples of each row of each batch of one epoch; each example once."""
        ...

    def width(self, filled: int, longest: int) -> int:
        """Positions of the rows of a batch whose fullest row has `filled`, and no example more than `longest`."""
        ...


class Rows(Protocol):
    """Tokenized examples by index, such as a split of the token cache."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, integers [n]."""
        ...

    def ids(self, index: int, /) -> np.ndarray:
        """Token ids of one example."""
        ...

    def weights(self, index: int, /) -> np.ndarray:
        """The weight of each token as a target."""
        ...


def epoch_batches(rows: Rows, layout: Layout, *, seed: int, epoch: int) -> list[list[list[int]]]:
    """The examples of each row of each batch of one epoch; the same seed and epoch give the same list."""
    return layout.plan(rows.lengths.tolist(), np.random.default_rng([seed, epoch]))


def batches(rows: Rows, layout: Layout, *, seed: int, epoch: int = 0) -> Iterator[Batch]:
    """The batches of one epoch under a layout."""
    for batch in epoch_batches(rows, layout, seed=seed, epoch=epoch):
        yield lay(rows, layout, batch)


def stream(rows: Rows, layout: Layout, *, seed: int, start: int = 0) -> Iterator[Batch]:
    """Batches without end, the next epoch after the last, from the `start`-th on (counted from the very first)."""
    return (batch for (batch,) in windows(rows, layout, seed=seed, start=start))


def windows(rows: Rows, layout: Layout, *, seed: int, size: int = 1, start: int = 0) -> Iterator[list[Batch]]:
    """The batches of one optimizer step after another, without end, from the `start`-th step on.

    A window never spans two epochs: the last one of an epoch takes what is left, so that every epoch trains each row
    once, whatever the accumulation. A step divides its sums by its own count, so a short one is exact.

    Args:
        rows: what is trained on.
        layout: how examples become batches.
        seed: of their order.
        size: batches a step at most (`train.accumulate`).
        start: steps to skip.
    """
    assert len(rows) > 0, "an empty split has no batches"
    epoch, skipped = 0, 0
    while True:
        plan = epoch_batches(rows, layout, seed=seed, epoch=epoch)
        for first in range(max(0, start - skipped) * size, len(plan), size):
            yield [lay(rows, layout, batch) for batch in plan[first : first + size]]
        skipped += -(-len(plan) // size)
        epoch += 1


def first_tokens(rows: Rows, count: int) -> list[int]:
    """A row of real tokens: the first examples one after another, cut."""
    row: list[int] = []
    for index in range(len(rows)):
        row += rows.ids(index).tolist()
        if len(row) >= count:
            break
    return row[:count]


def padding_share(rows: Rows, layout: Layout, *, seed: int) -> float:
    """The share of positions of the first epoch that are padding, 0 to 1."""
    lengths = rows.lengths
    slots = real = 0
    for batch in epoch_batches(rows, layout, seed=seed, epoch=0):
        slots += len(batch) * width_of(lengths, layout, batch)
        real += sum(int(lengths[i]) - 1 for row in batch for i in row)
    return 1 - real / slots if slots else 0.0


def shapes(rows: Rows, layout: Layout, *, seed: int) -> set[tuple[int, int]]:
    """The shapes (B, T) of the batches of the first epoch."""
    plan = epoch_batches(rows, layout, seed=seed, epoch=0)
    return {(len(batch), width_of(rows.lengths, layout, batch)) for batch in plan}


def width_of(lengths: np.ndarray, layout: Layout, batch: list[list[int]]) -> int:
    """Positions of the rows of a batch."""
    filled = max(sum(positions(int(lengths[i])) for i in row) for row in batch)
    return layout.width(filled, positions(int(lengths.max())))


def lay(rows: Rows, layout: Layout, batch: list[list[int]]) -> Batch:
    """A batch, of the examples of each of its rows."""
    laid = [[(rows.ids(i), rows.weights(i)) for i in row] for row in batch]
    examples = [i for row in batch for i in row]
    return make_batch(laid, examples, width_of(rows.lengths, layout, batch), packed=layout.packs)
