"""Rows for benchmarks: chat-like lengths, random ids, the second half of each row supervised."""

import numpy as np


class BenchRows:
    """Examples as a layout and the trainer want them.

    Args:
        lengths: tokens of each row, at least 2.
        vocabulary: ids are drawn from [0, vocabulary).
        seed: of the ids.
    """

    def __init__(self, lengths: np.ndarray, vocabulary: int, seed: int = 0):
        self._lengths = np.asarray(lengths, np.int64)
        draw = np.random.default_rng([seed, 1])
        self._ids = [draw.integers(0, vocabulary, n).astype(np.int32) for n in self._lengths.tolist()]

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row."""
        return self._lengths

    def ids(self, index: int, /) -> np.ndarray:
        """Token ids of a row."""
        return self._ids[index]

    def weights(self, index: int, /) -> np.ndarray:
        """1 for the tokens that are learned, float32."""
        n = len(self._ids[index])
        return (np.arange(n) >= self.offset(index)).astype(np.float32)

    def offset(self, index: int) -> int:
        """The first supervised token of a row."""
        return int(self._lengths[index]) // 2

    def first(self, count: int) -> "BenchRows":
        """The first rows alone."""
        part = object.__new__(BenchRows)
        part._lengths, part._ids = self._lengths[:count], self._ids[:count]
        return part


def chat_rows(count: int, vocabulary: int, *, seed: int = 0, longest: int = 2048) -> BenchRows:
    """Lengths as chat data has them: log-normal, median 190, sigma 0.8, clipped to [16, longest].

    Example:
        >>> rows = chat_rows(1000, 100)
        >>> int(np.median(rows.lengths)), int(rows.lengths.min()), int(rows.lengths.max()) <= 2048
        (178, 16, True)
    """
    drawn = np.exp(np.random.default_rng([seed, 0]).normal(np.log(190), 0.8, count))
    return BenchRows(np.clip(drawn, 16, longest).astype(np.int64), vocabulary, seed)


def even_rows(count: int, length: int, vocabulary: int, *, seed: int = 0) -> BenchRows:
    """Rows of one length."""
    return BenchRows(np.full(count, length), vocabulary, seed)
