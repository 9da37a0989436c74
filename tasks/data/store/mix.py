"""Several sources mixed by weight: the examples of each that stand in an epoch, and how often."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.artifact import Record
from tasks.data.store.columns import DIGEST, START, STOP

Index = NDArray[np.int64]


class SourceStats(Record):
    """The part of one source in a split.

    Args:
        path: the source.
        weight: its weight against the others, 1 where only another one has one; None where none has.
        rows: read from it.
        available: examples that its rows make, those held out for validation not counted.
        examples: of it that stand in the split.
        left_out: available examples that do not, since the source is large for its weight.
        repeated: examples beyond the first of each, since the source is small for its weight.
        tokens: of `examples`.
        share: of the split, in the unit of `data.mix`.
    """

    path: str
    weight: float | None
    rows: int
    available: int
    examples: int
    left_out: int
    repeated: int
    tokens: int
    share: float


def mixed(indexes: Sequence[Index], weights: Sequence[float] | None, by: Literal["examples", "tokens"], repeat: bool):
    """Chooses the index rows of each source that stand in an epoch, in the order of the source, a repeated source one
    copy after another.

    The smallest (`repeat`: the largest) source for its weight is taken whole, once; the others get what is due to
    them against it. Where only a part of a source is due, it is the rows with the smallest digests, so that the
    choice depends on the rows and not on their order or a seed.

    Args:
        indexes: the index of each source, int64 [examples, columns].
        weights: the proportions of the sources; None for all of all.
        by: whether in examples or in tokens.
        repeat: whether small sources are repeated rather than large ones cut.

    Example:
        >>> large = np.array([[n, n + 1, 0, n, 90 - n, 0, 0] for n in range(6)])
        >>> small = np.array([[6, 7, 0, 0, 5, 1, 0]])
        >>> [rows[:, START].tolist() for rows in mixed([large, small], [2.0, 1.0], "examples", False)]
        [[4, 5], [6]]
        >>> [rows[:, START].tolist() for rows in mixed([large, small], [2.0, 1.0], "examples", True)]
        [[0, 1, 2, 3, 4, 5], [6, 6, 6]]
    """
    if weights is None:
        return list(indexes)
    sizes = [_sizes(index, by) for index in indexes]
    scales = [int(size.sum()) / weight for size, weight in zip(sizes, weights, strict=True) if len(size)]
    scale = (max if repeat else min)(scales, default=0.0)
    return [
        _taken(index, size, scale * weight) if len(index) else index
        for index, size, weight in zip(indexes, sizes, weights, strict=True)
    ]


def source_stats(path: str, weight: float | None, rows: int, available: Index, taken: Index, share: float):
    """Counts one source.

    Args:
        path: the source.
        weight: its weight; None where no source has one.
        rows: read from it.
        available: its index before it was mixed, int64 [examples, columns].
        taken: its index afterwards.
        share: of the split.
    """
    distinct = len(np.unique(taken[:, START]))
    return SourceStats(
        path=path,
        weight=weight,
        rows=rows,
        available=len(available),
        examples=len(taken),
        left_out=len(available) - distinct,
        repeated=len(taken) - distinct,
        tokens=int((taken[:, STOP] - taken[:, START]).sum()),
        share=round(share, 6),
    )


def shares(taken: Sequence[Index], by: Literal["examples", "tokens"]) -> list[float]:
    """Computes the share of each source in the split.

    Args:
        taken: the index of each source after it was mixed.
        by: whether in examples or in tokens.

    Example:
        >>> shares([np.zeros((3, 7), int), np.zeros((1, 7), int)], "examples")
        [0.75, 0.25]
    """
    amounts = [int(_sizes(index, by).sum()) for index in taken]
    return [amount / max(sum(amounts), 1) for amount in amounts]


def _sizes(index: Index, by: str) -> NDArray[np.int64]:
    return np.ones(len(index), np.int64) if by == "examples" else index[:, STOP] - index[:, START]


def _taken(index: Index, sizes: NDArray[np.int64], due: float) -> Index:
    whole = int(sizes.sum())
    copies = int(due / whole + 1e-9)
    order = np.argsort(index[:, DIGEST], kind="stable")
    reached = np.cumsum(sizes[order])
    # As many as come nearest to what is due, and one at least where there is not even one copy.
    part = int(np.searchsorted(reached - sizes[order] / 2, due - copies * whole - 1e-6, side="left"))
    chosen = np.sort(order[: max(part, 0 if copies else 1)])
    return np.concatenate([*[index] * copies, index[chosen]])
