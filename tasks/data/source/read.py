"""Rows of a source, one after another and in bounded memory: files of any kind, a saved dataset, a hub dataset."""

import re
from collections.abc import Iterator
from pathlib import Path

from tasks.data.source.blocks import Block, Numbered, read_blocks
from tasks.data.source.file_names import KNOWN, PACKED, ending, is_pattern, is_saved
from tasks.errors import DataError

_HUB = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")


def read_rows(
    source: str, split: str = "train", encoding: str | None = None, text_rows: str = "file"
) -> Iterator[Numbered]:
    """Reads the rows of a source, numbered from 1 (by line, for files of lines).

    Args:
        source: a file, a folder saved by `datasets`, or the id of a hub dataset.
        split: of a hub dataset or a saved one.
        encoding: of a file of text, where it is not UTF-8 and has no byte order mark.
        text_rows: what a row of a .txt file is: `file`, `paragraph` or `line`.

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
    for block in source_blocks(source, split, encoding, text_rows):
        for row in block.rows():
            empty = False
            yield row
    if empty:
        raise DataError("the source has no rows", path=source)


def source_blocks(
    source: str, split: str = "train", encoding: str | None = None, text_rows: str = "file"
) -> Iterator[Block]:
    """Reads a source in blocks.

    Args:
        source: a file, a folder saved by `datasets`, or the id of a hub dataset.
        split: of a hub dataset or a saved one.
        encoding: of a file of text, where it is not UTF-8 and has no byte order mark.
        text_rows: what a row of a .txt file is: `file`, `paragraph` or `line`.

    Raises:
        DataError: the source does not exist, or is empty.
    """
    if not (hub := is_hub(source)):
        existing(source)
    return read_blocks(source, is_hub=hub, split=split, encoding=encoding, text_rows=text_rows)


def is_hub(source: str) -> bool:
    """Tells a hub dataset's id from the path of a file.

    Example:
        >>> is_hub("openai/gsm8k:main"), is_hub("data/chat.jsonl")
        (True, False)
    """
    named = ending(Path(source)) in KNOWN or Path(source).suffix in PACKED
    return not named and not Path(source).exists() and bool(_HUB.fullmatch(source))


def existing(source: str) -> Path:
    """Gives the path of a file that is there and not empty, or of a folder that `datasets` saved.

    Raises:
        DataError: there is none, or it is another sort of folder.

    Example:
        >>> existing("no/such.jsonl")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        tasks.errors.DataError: no/such.jsonl: no such file (looked in ...)
    """
    path = Path(source).expanduser()
    if path.is_dir():
        if not is_saved(path):
            raise DataError(
                "this is a folder without files of this split (train.jsonl, valid.jsonl, test.jsonl, or .json, .csv, "
                ".parquet, .txt); name a file in it",
                path=source,
            )
        return path
    if is_pattern(source):
        raise DataError(f"no file matches this pattern (looked in {Path.cwd()})", path=source)
    if path.exists() and not path.is_file():
        raise DataError("no regular file: rows are read more than once; write them into one", path=source)
    if not path.is_file():
        raise DataError(f"no such file (looked in {Path.cwd()})", path=source)
    if path.stat().st_size == 0:
        raise DataError("the file is empty", path=source)
    return path
