"""Rows for benchmarks: chat-like lengths or those of real rows, random ids, the end of each row supervised."""

import argparse

import numpy as np


class BenchRows:
    """Examples as a layout and the trainer want them.

    Args:
        lengths: tokens of each row, at least 2.
        vocabulary: ids are drawn from [0, vocabulary).
        seed: of the ids.
        offsets: the first supervised token of each row; None for the middle one.
    """

    def __init__(self, lengths: np.ndarray, vocabulary: int, seed: int = 0, offsets: np.ndarray | None = None):
        self._lengths = np.asarray(lengths, np.int64)
        self._offsets = self._lengths // 2 if offsets is None else np.asarray(offsets, np.int64)
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
        return int(self._offsets[index])

    def first(self, count: int) -> "BenchRows":
        """The first rows alone."""
        part = object.__new__(BenchRows)
        part._lengths, part._ids, part._offsets = self._lengths[:count], self._ids[:count], self._offsets[:count]
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


def real_rows(path: str, count: int, vocabulary: int, *, seed: int = 0) -> BenchRows:
    """Rows as long as `count` ones, drawn without repeats, of a file that `tests.bench.lengths` printed."""
    told = np.loadtxt(path, dtype=np.int64, ndmin=2)
    drawn = told[np.sort(np.random.default_rng([seed, 2]).permutation(len(told))[:count])]
    return BenchRows(drawn[:, 0], vocabulary, seed, drawn[:, 1])


def add_rows(parser: argparse.ArgumentParser, count: int) -> None:
    """The options that say which rows are trained on."""
    parser.add_argument("--rows", type=int, default=count)
    parser.add_argument("--lengths", default=None, help="a file of tests.bench.lengths; else chat-like lengths")


def rows_of(given: argparse.Namespace, vocabulary: int) -> BenchRows:
    """The rows that the options of `add_rows` ask for."""
    if given.lengths is not None:
        return real_rows(given.lengths, given.rows, vocabulary)
    return chat_rows(given.rows, vocabulary)
