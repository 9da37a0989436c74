"""Lengths of the examples of a split: percentiles, and a histogram whose bins grow with the length."""

import math

import numpy as np
from numpy.typing import NDArray

from tasks.artifact import Record

_BINS = 16


class Bin(Record):
    """A bin of a histogram: the number of examples with `least` to `most` tokens."""

    least: int
    most: int
    examples: int


class Lengths(Record):
    """The lengths of examples, in tokens.

    Args:
        min: of the shortest.
        p50: half of the examples are at most this long; `p90`, `p95` and `p99` likewise.
        max: of the longest.
        histogram: bins of equal ratio, one behind the other from `min` to `max`; empty ones are there too.
    """

    min: int
    p50: int
    p90: int
    p95: int
    p99: int
    max: int
    histogram: tuple[Bin, ...]


def describe_lengths(lengths: NDArray[np.int64]) -> Lengths:
    """Computes percentiles and a histogram. A percentile is a length that occurs.

    Args:
        lengths: of the examples, in tokens; int64 [examples], at least one.

    Example:
        >>> found = describe_lengths(np.array([3, 4, 5, 90]))
        >>> found.p50, found.max, [bin.examples for bin in found.histogram if bin.examples]
        (4, 90, [1, 2, 1])
    """
    at = np.percentile(lengths, [0, 50, 90, 95, 99, 100], method="inverted_cdf").astype(int).tolist()
    edges = _edges(at[0], at[-1])
    counts = np.histogram(lengths, edges)[0].tolist()
    bins = zip(edges[:-1], edges[1:], counts, strict=True)
    histogram = tuple(Bin(least=least, most=beyond - 1, examples=n) for least, beyond, n in bins)
    return Lengths(min=at[0], p50=at[1], p90=at[2], p95=at[3], p99=at[4], max=at[5], histogram=histogram)


def _edges(least: int, most: int) -> list[int]:
    """Where the bins begin, and one past the last: the least, round numbers, the most."""
    inner: list[int] = []
    for parts in (32, 16, 8, 4, 2, 1, 0.5):  # bins to a doubling: as many as leave no more than _BINS
        steps = range(int(parts * math.log2(most)) + 1)
        inner = sorted({edge for n in steps if least < (edge := round(2 ** (n / parts))) <= most})
        if len(inner) < _BINS:
            break
    return [least, *inner, most + 1]
