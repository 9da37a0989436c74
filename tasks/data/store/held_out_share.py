"""The share of rows that is held out, and the rows that stand twice: by the digest of each row's tokens."""

import hashlib

import numpy as np
from numpy.typing import NDArray

Digests = NDArray[np.int64]


def row_digest(ids: list[int]) -> int:
    """Computes 63 bits of the SHA-256 of a row's token ids; columns that are not trained on make no difference.

    Example:
        >>> row_digest([1, 2]) == row_digest([1, 2]), row_digest([1, 2]) == row_digest([2, 1])
        (True, False)
    """
    return int.from_bytes(hashlib.sha256(np.asarray(ids, "<u4").tobytes()).digest()[:8], "big") >> 1


def held_out(digests: Digests, share: float, most: int) -> NDArray[np.bool_]:
    """Chooses the examples to hold out: those with the smallest digests, equal ones together.

    The choice depends on the rows alone, not on their order or on a seed, and no row stands on both sides.

    Args:
        digests: the digest of each example, int64 [examples].
        share: the share of examples wanted; at least one is held out where it is above 0 and there are two.
        most: the most examples held out.

    Returns:
        A mask, bool [examples].

    Example:
        >>> held_out(np.array([5, 3, 9, 3]), 0.5, 100).tolist()
        [False, True, False, True]
    """
    wanted = min(max(round(share * len(digests)), 1), most) if share > 0 else 0
    if wanted == 0 or len(digests) < 2:
        return np.zeros(len(digests), bool)
    values, counts = np.unique(digests, return_counts=True)
    taken = int(np.searchsorted(np.cumsum(counts), wanted, side="right"))
    # Where the first row alone stands more often than is wanted, it would be none: then that row is taken whole,
    # unless it is all there is.
    taken = min(max(taken, 1), len(values) - 1)
    return np.isin(digests, values[:taken])


def duplicates(lines: NDArray[np.int64], digests: Digests) -> NDArray[np.int64]:
    """Finds the lines of rows that repeat an earlier one; the pieces of one row, which share its line, do not.

    Args:
        lines: of each example's row, int64 [examples].
        digests: of each example's row, int64 [examples].

    Example:
        >>> duplicates(np.array([1, 1, 2, 3]), np.array([5, 5, 3, 5])).tolist()
        [3]
    """
    _, first, of = np.unique(digests, return_index=True, return_inverse=True)
    return np.unique(lines[lines != lines[first][of]])
