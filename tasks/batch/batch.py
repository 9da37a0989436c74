"""One batch: rows of token ids, shifted into inputs and targets, padded on the right to one width.

A row holds one example, or several one after another: `segments_BT` says which token is whose. Right padding under
causal attention never reaches a real token, so a row of one example needs no mask array; padded targets have weight
zero.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

WIDTH = 16
"""Rows of one example are padded to a multiple of this many tokens, so that few shapes occur."""

Example = tuple[np.ndarray, np.ndarray]
"""The token ids of an example, and the weight of each as a target."""


class Batch(NamedTuple):
    """Arrays of one batch, NumPy, B rows of T positions.

    Attributes:
        inputs_BT: token ids, int32; 0 where padded.
        targets_BT: the token that follows each input, int32; 0 where padded.
        weights_BT: the weight of each target in the loss, float32; 0 where not supervised or padded.
        real_BT: 1 where the target is a token of the row, float32; 0 where padded.
        segments_BT: which example of its row a position belongs to, int32, counted from 1; 0 where padded.
        examples: the index of each example, row after row.
        packed: whether rows may hold several examples, so that attention must be kept inside each.
    """

    inputs_BT: np.ndarray
    targets_BT: np.ndarray
    weights_BT: np.ndarray
    real_BT: np.ndarray
    segments_BT: np.ndarray
    examples: tuple[int, ...]
    packed: bool

    @property
    def tokens(self) -> int:
        """Real tokens, the first of each example included."""
        return int(self.real_BT.sum()) + len(self.examples)

    @property
    def supervised_tokens(self) -> int:
        """Targets with a weight above 0."""
        return int(np.count_nonzero(self.weights_BT))


def positions(length: int) -> int:
    """How many positions an example of `length` tokens takes: its last token is a target only."""
    return max(1, length - 1)


def padded_width(length: int) -> int:
    """The width of a row of one example: its positions, rounded up to a multiple of WIDTH.

    Example:
        >>> padded_width(33), padded_width(34)
        (32, 48)
    """
    return -(-positions(length) // WIDTH) * WIDTH


def make_batch(
    rows: Sequence[Sequence[Example]], examples: Iterable[int], width: int | None = None, *, packed: bool | None = None
) -> Batch:
    """Lays examples one after another in their rows, and the rows under each other.

    Args:
        rows: the examples of each row; a row without any is all padding.
        examples: their indexes, row after row.
        width: positions of a row; None takes the fullest row's, rounded up.
        packed: what the batch says of itself; None looks whether a row has several examples.

    Example:
        >>> one, two = (np.array([5, 6, 7]), np.array([0.0, 0.0, 1.0])), (np.array([8, 9]), np.array([0.0, 1.0]))
        >>> batch = make_batch([[one, two]], [0, 1], width=4)
        >>> batch.inputs_BT.tolist(), batch.targets_BT.tolist(), batch.weights_BT.tolist()
        ([[5, 6, 8, 0]], [[6, 7, 9, 0]], [[0.0, 1.0, 1.0, 0.0]])
        >>> batch.segments_BT.tolist()
        [[1, 1, 2, 0]]
    """
    width = width or padded_width(1 + max(sum(positions(len(ids)) for ids, _ in row) for row in rows))
    inputs, targets, segments = np.zeros((3, len(rows), width), np.int32)
    weights, real = np.zeros((2, len(rows), width), np.float32)
    for b, row in enumerate(rows):
        at = 0
        for segment, (ids, weight) in enumerate(row, start=1):
            here = slice(at, at + len(ids) - 1)
            inputs[b, here], targets[b, here], weights[b, here], real[b, here] = ids[:-1], ids[1:], weight[1:], 1
            segments[b, here] = segment
            at += positions(len(ids))
    packed = any(len(row) > 1 for row in rows) if packed is None else packed
    return Batch(inputs, targets, weights, real, segments, tuple(examples), packed)
