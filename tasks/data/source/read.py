"""Rows of a source, one after another and in bounded memory: JSON lines, a JSON array, CSV, Parquet, a hub dataset."""

import re
from collections.abc import Iterator
from pathlib import Path

from tasks.data.source.blocks import Block, Numbered, read_blocks
from tasks.errors import DataError

_HUB = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")


def read_rows(source: str, split: str = "train", encoding: str | None = None) -> Iterator[Numbered]:
    """The rows of a source, numbered from 1 (by line, for files of lines).

    Args:
        source: a file, or the id of a hub dataset.
        split: the split of a hub dataset.
        encoding: of a file of text, where it is not UTF-8 and has no byte order mark.

    Yields:
        (number, row), or (number, DataError) for a row that cannot be read.

    Raises:
        DataError: the source does not exist, is empty, or cannot be read as a whole.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.jsonl"
        >>> _ = path.write_bytes(b'{"text": "a"}\\r\\n{"text": "b"}')
        >>> list(read_rows(str(path)))
        [(1, {'text': 'a'}), (2, {'text': 'b'})]
    """
    empty = True
    for block in source_blocks(source, split, encoding):
        for row in block.rows():
            empty = False
            yield row
    if empty:
        raise DataError("the source has no rows", path=source)


def source_blocks(source: str, split: str = "train", encoding: str | None = None) -> Iterator[Block]:
    """The same rows in blocks."""
    if hub := is_hub(source):
        return read_blocks(source, is_hub=hub, split=split)
    existing(source)
    return read_blocks(source, is_hub=hub, encoding=encoding)


def is_hub(source: str) -> bool:
    """Whether a source is a hub dataset's id rather than a file.

    Example:
        >>> is_hub("openai/gsm8k:main"), is_hub("data/chat.jsonl")
        (True, False)
    """
    files = {".jsonl", ".json", ".csv", ".parquet", ".gz", ".txt", ".ndjson"}
    return not Path(source).exists() and Path(source).suffix not in files and bool(_HUB.fullmatch(source))


def existing(source: str) -> Path:
    """The path of a file that is there and not empty."""
    path = Path(source).expanduser()
    if path.is_dir():
        raise DataError("this is a folder; name a file in it", path=source)
    if not path.is_file():
        raise DataError(f"no such file (looked in {Path.cwd()})", path=source)
    if path.stat().st_size == 0:
        raise DataError("the file is empty", path=source)
    return path
