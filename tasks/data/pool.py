"""Examples on disk: one flat file of ids, one of weights, and an index row for each example.

A split is an index into a pool, so that a held-out split costs no second copy.
"""

from array import array
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tasks.data.tokens import Tokens

# The columns of an index: where the example starts and stops in the pool, its prompt's length, its line, its digest.
START, STOP, PROMPT, LINE, DIGEST = range(5)


class PoolWriter:
    """Appends examples to `<name>.ids.u32` and `<name>.weights.f32` in a folder; memory holds only the index."""

    def __init__(self, folder: Path, name: str):
        self._ids = (folder / f"{name}.ids.u32").open("wb")
        self._weights = (folder / f"{name}.weights.f32").open("wb")
        self._index = array("q")
        self._at = 0

    def __enter__(self) -> "PoolWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None):
        self._ids.close()
        self._weights.close()

    def append(self, tokens: Tokens, line: int, digest: int) -> None:
        """Adds one example; `digest` is that of its row, 63 bits."""
        np.asarray(tokens.ids, "<u4").tofile(self._ids)
        np.asarray(tokens.weights, "<f4").tofile(self._weights)
        stop = self._at + len(tokens.ids)
        self._index.extend((self._at, stop, tokens.prompt_length, line, digest))
        self._at = stop

    def index(self) -> NDArray[np.int64]:
        """The index of what was appended: int64 [examples, 5]."""
        return np.array(self._index, np.int64).reshape(-1, 5)


@dataclass(frozen=True)
class TokenSplit:
    """The examples of one split, memory-mapped.

    Args:
        folder: the cache.
        name: the split.
        pool: the pool its index points into.
    """

    folder: Path
    name: str
    pool: str

    @cached_property
    def _index(self) -> NDArray[np.int64]:
        return np.load(self.folder / f"{self.name}.index.npy", mmap_mode="r")

    @cached_property
    def _ids(self) -> NDArray[np.uint32]:
        return np.memmap(self.folder / f"{self.pool}.ids.u32", "<u4", "r")

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        return np.memmap(self.folder / f"{self.pool}.weights.f32", "<f4", "r")

    def __len__(self) -> int:
        return len(self._index)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each example: int64 [examples]."""
        return self._index[:, STOP] - self._index[:, START]

    @property
    def lines(self) -> NDArray[np.int64]:
        """The line of the source that each example came from, counted from 1: int64 [examples]."""
        return self._index[:, LINE]

    def ids(self, i: int) -> NDArray[np.uint32]:
        """The token ids of example i: a read-only view, uint32 [tokens]."""
        return self._ids[self._index[i, START] : self._index[i, STOP]]

    def weights(self, i: int) -> NDArray[np.float32]:
        """The weight of each of its ids as a target: a read-only view, float32 [tokens]."""
        return self._weights[self._index[i, START] : self._index[i, STOP]]

    def prompt_length(self, i: int) -> int:
        """How many ids stand before its last answer: `ids(i)[:n]` is a prompt; 0 for plain text."""
        return int(self._index[i, PROMPT])
