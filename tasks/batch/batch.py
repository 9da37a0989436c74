"""One batch: rows of token ids, shifted into inputs and targets, padded on the right to one width.

Right padding under causal attention never reaches a real token, so no mask array is needed; padded targets have
weight zero.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

WIDTH = 32
"""Rows are padded to a multiple of this many tokens, so that few shapes occur."""


class Batch(NamedTuple):
    """Arrays of one batch, NumPy, B rows of T positions.

    Attributes:
        inputs_BT: token ids, int32; 0 where padded.
        targets_BT: the token that follows each input, int32; 0 where padded.
        weights_BT: the weight of each target in the loss, float32; 0 where not supervised or padded.
        real_BT: 1 where the target is a token of the row, float32; 0 where padded.
        examples: the index of each row's example.
    """

    inputs_BT: np.ndarray
    targets_BT: np.ndarray
    weights_BT: np.ndarray
    real_BT: np.ndarray
    examples: tuple[int, ...]


def padded_width(length: int) -> int:
    """The width of a row of `length` tokens: its inputs, rounded up to a multiple of WIDTH.

    Example:
        >>> padded_width(33), padded_width(34)
        (32, 64)
    """
    return -(-max(1, length - 1) // WIDTH) * WIDTH


def make_batch(rows: Sequence[tuple[np.ndarray, np.ndarray]], examples: Sequence[int], width: int | None = None) -> Batch:
    """Lays rows of (ids, weights) side by side.

    Example:
        >>> batch = make_batch([(np.array([5, 6, 7]), np.array([0.0, 0.0, 1.0]))], [0], width=4)
        >>> batch.inputs_BT.tolist(), batch.targets_BT.tolist(), batch.weights_BT.tolist()
        ([[5, 6, 0, 0]], [[6, 7, 0, 0]], [[0.0, 1.0, 0.0, 0.0]])
    """
    width = width or max(padded_width(len(ids)) for ids, _ in rows)
    inputs, targets = np.zeros((2, len(rows), width), np.int32)
    weights, real = np.zeros((2, len(rows), width), np.float32)
    for row, (ids, weight) in enumerate(rows):
        n = len(ids) - 1
        inputs[row, :n], targets[row, :n], weights[row, :n], real[row, :n] = ids[:-1], ids[1:], weight[1:], 1
    return Batch(inputs, targets, weights, real, tuple(examples))
