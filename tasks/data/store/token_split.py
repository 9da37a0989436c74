"""Examples on disk: shards of ids, weights and speakers, and an index row for each example.

A split is an index into a pool of shards, so that a held-out split, or a row that stands in it twice, costs no copy.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.data.format.message import SPEAKERS
from tasks.data.store.columns import CHECK, LINE, PROMPT, SOURCE, START, STOP
from tasks.data.store.shard import PARTS, check_sum, map_shard, shard_file
from tasks.errors import DataError


@dataclass(frozen=True)
class TokenSplit:
    """The examples of one split, memory-mapped; a shard is opened when an example of it is read first.

    Each example is compared with the checksum of its index row when this object reads it first, so that training sees
    the bytes that were written.

    Args:
        folder: the cache.
        name: the split.
        pool: the pool its index points into.
    """

    folder: Path
    name: str
    pool: str
    _shards: dict[int, tuple[NDArray[Any], ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def _index(self) -> NDArray[np.int64]:
        return np.load(self.folder / f"{self.name}.index.npy", mmap_mode="r")

    @cached_property
    def _starts(self) -> list[int]:
        return pool_starts(self.folder, self.pool)

    @cached_property
    def _checked(self) -> NDArray[np.bool_]:
        return np.zeros(len(self), bool)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each example: int64 [examples]."""
        return self._index[:, STOP] - self._index[:, START]

    @property
    def lines(self) -> NDArray[np.int64]:
        """The line of its source that each example came from, counted from 1: int64 [examples]."""
        return self._index[:, LINE]

    @property
    def sources(self) -> NDArray[np.int64]:
        """The number of each example's source in the split, counted from 0: int64 [examples]."""
        return self._index[:, SOURCE]

    def ids(self, i: int) -> NDArray[np.uint32]:
        """The token ids of example i: a read-only view, uint32 [tokens].

        Raises:
            DataError: the bytes on disk are not those that were written.
        """
        return self._parts(i)[0]

    def weights(self, i: int) -> NDArray[np.float32]:
        """The weight of each of its ids as a target: a read-only view, float32 [tokens]."""
        return self._parts(i)[1]

    def speakers(self, i: int) -> NDArray[np.uint8]:
        """The speaker of each of its tokens, indices of SPEAKERS: a read-only view, uint8 [tokens]."""
        return self._parts(i)[2]

    def prompt_length(self, i: int) -> int:
        """The number of ids before its last answer that is trained: `ids(i)[:n]` is a prompt; 0 for plain text."""
        return int(self._index[i, PROMPT])

    def answer_stop(self, i: int) -> int:
        """The end of that answer: `ids(i)[prompt_length(i):n]` is its tokens; turns that are not trained may follow."""
        first = self.prompt_length(i)
        own = self.speakers(i)[first:] == SPEAKERS.index("assistant")
        turn = own[: int(np.argmin(own))] if not own.all() else own
        trained = np.flatnonzero(self.weights(i)[first : first + len(turn)])
        return first + int(trained[-1]) + 1 if len(trained) else len(self.ids(i))

    def _parts(self, i: int) -> tuple[NDArray[Any], ...]:
        row = self._index[i]
        start, stop = int(row[START]), int(row[STOP])
        n = bisect_right(self._starts, start) - 1
        if n not in self._shards:
            self._shards[n] = map_shard(shard_file(self.folder, self.pool, n), self._starts[n + 1] - self._starts[n])
        parts = tuple(part[start - self._starts[n] : stop - self._starts[n]] for part in self._shards[n])
        if not self._checked[i]:
            if check_sum(parts, int(row[LINE]), int(row[PROMPT])) != row[CHECK]:
                # Forgets that these files were found right, so that the next start looks at each byte and rebuilds.
                digest_memory(self.folder).unlink(missing_ok=True)
                raise DataError(
                    f"example {i} of {self.name} is not what was written (a damaged disk?); start again, and the "
                    "cache is built anew",
                    path=shard_file(self.folder, self.pool, n),
                )
            self._checked[i] = True
        return parts


class PoolPart:
    """One part of a whole pool (its ids, weights or speakers), read by slices and never mapped.

    Args:
        folder: the cache.
        pool: the pool.
        part: which of PARTS.
    """

    def __init__(self, folder: Path, pool: str, part: int):
        self._folder, self._pool, self._part, self._starts = folder, pool, part, pool_starts(folder, pool)

    def __getitem__(self, window: slice) -> NDArray[Any]:
        size = np.dtype(PARTS[self._part]).itemsize
        before = sum(np.dtype(kind).itemsize for kind in PARTS[: self._part])
        pieces = [np.zeros(0, PARTS[self._part])]
        for n in range(max(bisect_right(self._starts, window.start) - 1, 0), len(self._starts) - 1):
            start, stop = self._starts[n], self._starts[n + 1]
            first, last = max(window.start, start), min(window.stop, stop)
            if start >= window.stop:
                break
            if first < last:
                offset = before * (stop - start) + size * (first - start)
                file = shard_file(self._folder, self._pool, n)
                pieces.append(np.fromfile(file, PARTS[self._part], last - first, offset=offset))
        return np.concatenate(pieces)


def pool_starts(folder: Path, pool: str) -> list[int]:
    """Reads the first token of each shard in the pool, and one past the last.

    Args:
        folder: the cache.
        pool: the pool.
    """
    return np.load(folder / f"{pool}.shards.npy").tolist()


def digest_memory(folder: Path) -> Path:
    """Names the file beside a cache that remembers the digests of its files.

    Example:
        >>> digest_memory(Path("tokens/abc")).name
        '.abc.digests.json'
    """
    return folder.parent / f".{folder.name}.digests.json"
