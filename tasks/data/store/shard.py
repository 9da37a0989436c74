"""A shard: the examples of one block of rows in one file, written whole or not at all, with its digest."""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from tasks.artifact import Record, file_digest
from tasks.artifact.file import beside, flush
from tasks.data.render.tokens import Tokens
from tasks.data.store.columns import CHECK
from tasks.data.store.tally import Tally
from tasks.errors import DataError

PARTS = ("<u4", "<f4", "u1")
"""The parts of a shard file, one after another, each of all tokens: their ids, their weights, their speakers."""

_TALLY = TypeAdapter(Tally)


class Shard(Record):
    """The record that is written last of a shard: its presence means that the shard is complete.

    Args:
        tokens: in the shard.
        digests: the SHA-256 of its files, by name.
        tally: the counts of its rows, JSON.
    """

    tokens: int
    digests: dict[str, str]
    tally: str

    def counted(self) -> Tally:
        """Reads the counts of its rows."""
        return _TALLY.validate_json(self.tally, strict=False)


def shard_file(folder: Path, pool: str, n: int) -> Path:
    """Names the file of shard n of a pool.

    Example:
        >>> shard_file(Path("cache"), "train", 3).name
        'train.00003.tokens'
    """
    return folder / f"{pool}.{n:05d}.tokens"


def index_file(folder: Path, pool: str, n: int) -> Path:
    """Names the index of shard n, which is there while the cache is being built.

    Example:
        >>> index_file(Path("cache"), "train", 3).name
        'train.00003.index.npy'
    """
    return folder / f"{pool}.{n:05d}.index.npy"


def write_shard(
    folder: Path, pool: str, n: int, source: int, examples: Iterable[tuple[int, int, Tokens]], tally: Tally
) -> Shard:
    """Writes the examples of a block.

    Args:
        folder: of the cache that is being built.
        pool: the pool, a split's name.
        n: the shard's number in it.
        source: the number of the block's source in the split.
        examples: (line, digest, tokens) of each.
        tally: the counts of the block's rows, complete when the examples are used up.
    """
    parts = [bytearray() for _ in PARTS]
    index: list[tuple[int, ...]] = []
    at = 0
    for line, digest, tokens in examples:
        own = (
            np.asarray(tokens.ids, PARTS[0]),
            np.asarray(tokens.weights, PARTS[1]),
            np.frombuffer(tokens.speakers or bytes(len(tokens.ids)), PARTS[2]),
        )
        for part, values in zip(parts, own, strict=True):
            part += values.tobytes()
        stop = at + len(tokens.ids)
        index.append((at, stop, tokens.prompt_length, line, digest, source, check_sum(own, line, tokens.prompt_length)))
        at = stop
    digests = {}
    rows = np.array(index, np.int64).reshape(-1, CHECK + 1)
    for path, content in (
        (shard_file(folder, pool, n), [bytes(part) for part in parts]),
        (index_file(folder, pool, n), [rows.tobytes()]),
    ):
        digests[path.name] = _write(path, content)
    shard = Shard(tokens=at, digests=digests, tally=_TALLY.dump_json(tally).decode())
    _write(_done_file(folder, pool, n), [shard.model_dump_json().encode()])
    return shard


def finished_shard(folder: Path, pool: str, n: int) -> Shard | None:
    """Finds shard n, where it was written before to the last byte; None where it was not.

    Args:
        folder: of the cache that is being built.
        pool: the pool.
        n: the shard's number in it.
    """
    try:
        shard = Shard.model_validate_json(_done_file(folder, pool, n).read_bytes())
        whole = all(file_digest(folder / name) == digest for name, digest in shard.digests.items())
        shard.counted()
    except (OSError, ValidationError):
        return None
    return (
        shard if whole and set(shard.digests) == {f(folder, pool, n).name for f in (shard_file, index_file)} else None
    )


def read_index(folder: Path, pool: str, n: int) -> NDArray[np.int64]:
    """Reads the index of shard n, int64 [examples, 7], counted from the shard's own first token.

    Args:
        folder: of the cache that is being built.
        pool: the pool.
        n: the shard's number in it.
    """
    return np.fromfile(index_file(folder, pool, n), np.int64).reshape(-1, CHECK + 1)


def map_shard(path: Path, tokens: int) -> tuple[NDArray[Any], ...]:
    """Maps the parts of a shard into memory, read-only.

    Args:
        path: the shard's file.
        tokens: in it.

    Raises:
        DataError: the file is not as long as it was written.
    """
    if not path.is_file() or path.stat().st_size != tokens * sum(np.dtype(kind).itemsize for kind in PARTS):
        raise DataError("the shard is missing or cut off; start again, and the cache is built anew", path=path)
    content = np.memmap(path, np.uint8, "r").view(np.ndarray)
    parts, at = [], 0
    for kind in PARTS:
        stop = at + tokens * np.dtype(kind).itemsize
        parts.append(content[at:stop].view(kind))
        at = stop
    return tuple(parts)


def check_sum(parts: tuple[NDArray[Any], ...], line: int, prompt: int) -> int:
    """Computes the CRC-32 of an example.

    Args:
        parts: the ids, weights and speakers of its tokens.
        line: of its row.
        prompt: its prompt's length in tokens.

    Example:
        >>> tokens = np.array([5], "<u4"), np.array([1.0], "<f4"), np.array([3], "u1")
        >>> check_sum(tokens, 1, 0) == check_sum(tokens, 2, 0)
        False
    """
    value = zlib.crc32(struct.pack("<qq", line, prompt))
    for part in parts:
        value = zlib.crc32(part.data, value)
    return value


def _done_file(folder: Path, pool: str, n: int) -> Path:
    return folder / f"{pool}.{n:05d}.done.json"


def _write(path: Path, content: list[bytes]) -> str:
    aside = beside(path, "tmp")
    digest = hashlib.sha256()
    with aside.open("wb") as file:
        for part in content:
            file.write(part)
            digest.update(part)
        file.flush()
        flush(file.fileno())
    os.replace(aside, path)
    return digest.hexdigest()
