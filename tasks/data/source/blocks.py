"""Blocks of a source's rows, some megabytes each: the unit that is read, given to a worker, and kept as a shard.

The end of a block depends on the source alone, so that a block's number names the same rows in every run.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

from tasks.data.source.file_names import ending
from tasks.data.source.json_array import read_array
from tasks.data.source.json_line import decode_row
from tasks.data.source.open_text import open_text
from tasks.data.source.plain_text import read_text
from tasks.data.source.table import read_csv, read_hub, read_parquet, read_saved
from tasks.errors import DataError

Numbered = tuple[int, Any]
"""A line and its row, or what is wrong with it: the reader goes on behind a bad row, its caller says whether it may."""

SIZE = 4 << 20
"""Bytes of a block, about."""

LONGEST = 64 << 20
"""Bytes of the longest row that is read."""

_ROWS = 4096


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a source.

    Args:
        path: the source, for errors.
        size: its bytes, about.
        first: the line of the first one.
        lines: lines of JSON as they stand in the file, to be read where the block is used.
        read: rows that had to be read already.
    """

    path: str
    size: int
    first: int = 1
    lines: bytes = b""
    read: tuple[Numbered, ...] = ()

    def rows(self) -> Iterator[Numbered]:
        """Yields (line, row), or (line, DataError) for a row that cannot be read.

        Example:
            >>> list(Block("a.jsonl", 30, 7, b'{"text": "a"}\\n\\n{"text": "b"}\\n').rows())
            [(7, {'text': 'a'}), (9, {'text': 'b'})]
        """
        yield from self.read
        for number, line in enumerate(io.BytesIO(self.lines), start=self.first):
            try:
                if line.strip(_BLANK):
                    yield number, decode_row(line, self.path, number)
            except DataError as error:
                yield number, _cut_off(error, line)


def read_blocks(
    source: str, *, is_hub: bool, split: str = "train", encoding: str | None = None, text_rows: str = "file"
) -> Iterator[Block]:
    """Reads a source in blocks, in order.

    Args:
        source: a file, a folder saved by `datasets`, or a hub dataset's id.
        is_hub: whether it is the last.
        split: of a hub dataset or a saved one.
        encoding: of a file of text; None for UTF-8 or what a byte order mark proves.
        text_rows: what a row of a .txt file is: `file`, `paragraph` or `line`.

    Raises:
        DataError: the source cannot be read as a whole.
    """
    path = Path(source).expanduser()
    if is_hub:
        yield from _grouped(read_hub(source, split), source)
    elif path.is_dir():
        yield from _grouped(read_saved(path, split), source)
    elif (kind := ending(path)) == ".parquet":
        yield from _grouped(read_parquet(path), source)
    else:
        with open_text(path, encoding, json=kind not in (".csv", ".txt")) as file:
            if kind == ".csv":
                yield from _grouped(read_csv(file, path), source)
            elif kind == ".txt":
                yield from _grouped(read_text(file, path, text_rows), source)
            else:
                yield from _lines_or_array(file, source)


_BLANK = b" \t\r\n\x0b\x0c"


def _lines_or_array(file: IO[bytes], path: str) -> Iterator[Block]:
    first, head = 1, b""
    while not (head := file.readline(SIZE)).strip(_BLANK):
        if not head:
            return
        first += head.endswith(b"\n")
    rest = _Ahead(head, file)
    if head.lstrip(_BLANK).startswith(b"["):
        yield from _grouped(read_array(rest, path, line=first), path)  # type: ignore[arg-type]
    else:
        yield from _of_lines(rest.read, path, first)


def _of_lines(read: Callable[[int], bytes], path: str, first: int) -> Iterator[Block]:
    text = b""
    while more := read(SIZE):
        text += more
        end = text.rfind(b"\n", max(0, len(text) - len(more))) + 1
        if end:
            yield Block(path, end, first, text[:end])
            first, text = first + text.count(b"\n", 0, end), text[end:]
        if len(text) > LONGEST:
            raise DataError(
                f"the line is longer than {LONGEST >> 20} MiB; one row must stand on each line", path=path, line=first
            )
    if text:
        yield Block(path, len(text), first, text)


def _grouped(rows: Iterable[Numbered], path: str) -> Iterator[Block]:
    group: list[Numbered] = []
    size = 0
    for row in chain(rows, [None]):
        if row is None or size >= SIZE or len(group) == _ROWS:
            if group:
                yield Block(path, size, group[0][0], read=tuple(group))
            group, size = [], 0
        if row is not None:
            group.append(row)
            size += _size(row[1])


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value) + 8
    if isinstance(value, dict):
        return sum(_size(key) + _size(inner) for key, inner in value.items())
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 8


def _cut_off(error: DataError, line: bytes) -> DataError:
    if line.endswith(b"\n") or not error.reason.startswith("not JSON"):
        return error
    reason = f"{error.reason}; the last line has no line end: is the file cut off?"
    return DataError(reason, path=error.path, line=error.line)


class _Ahead:
    """A file of which some bytes have been read already."""

    def __init__(self, head: bytes, file: IO[bytes]):
        self._head, self._file = head, file

    def read(self, size: int) -> bytes:
        """Gives the next bytes: those read ahead first, then at most `size` more."""
        head, self._head = self._head, b""
        return head + self._file.read(size)
