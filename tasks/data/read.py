"""Rows of a source, one after another and in bounded memory: JSON lines, a JSON array, CSV, Parquet, a hub dataset."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from tasks.artifact import file_digest, fingerprint
from tasks.data.array import read_array
from tasks.data.row import decode_row
from tasks.data.table import hub_digest, read_csv, read_hub, read_parquet
from tasks.errors import DataError

# A row, or what is wrong with it: the reader goes on behind a bad row, its caller says whether that is allowed.
Numbered = tuple[int, Any]

_HUB = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_rows(source: str, split: str = "train") -> Iterator[Numbered]:
    """The rows of a source, numbered from 1 (by line, for files of lines).

    Args:
        source: a file, or the id of a hub dataset.
        split: the split of a hub dataset.

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
    if is_hub(source):
        rows = read_hub(source, split)
    else:
        path = existing(source)
        suffix = next((s.lower() for s in reversed(path.suffixes) if s.lower() != ".gz"), "")
        tables: dict[str, Callable[[Path], Iterator[Numbered]]] = {".csv": read_csv, ".parquet": read_parquet}
        rows = tables.get(suffix, _read_json)(path)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError("the source has no rows", path=source)


def source_digest(source: str, split: str = "train") -> str:
    """What identifies the bytes of a source, without reading it row by row."""
    return fingerprint(hub_digest(source, split)) if is_hub(source) else file_digest(existing(source))


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


def _read_json(path: Path) -> Iterator[Numbered]:
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            yield from _lines_or_array(cast(IO[bytes], file), str(path))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"the gzip file is cut off or damaged: {error}", path=path) from error


def _lines_or_array(file: IO[bytes], path: str) -> Iterator[Numbered]:
    head = file.read(4)
    for mark, name in _OTHER_ENCODINGS.items():
        if head.startswith(mark):
            raise DataError(f"the file is {name}; save it as UTF-8", path=path, line=1)
    file.seek(3 if head.startswith(b"\xef\xbb\xbf") else 0)
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        if number == 1 and line.lstrip().startswith(b"["):
            file.seek(3 if head.startswith(b"\xef\xbb\xbf") else 0)
            yield from read_array(file, path)
            return
        try:
            yield number, decode_row(line, path, number)
        except DataError as error:
            yield number, _cut_off(error, line)


def _cut_off(error: DataError, line: bytes) -> DataError:
    if line.endswith(b"\n") or not error.reason.startswith("not JSON"):
        return error
    reason = f"{error.reason}; the last line has no line end: is the file cut off?"
    return DataError(reason, path=error.path, line=error.line)
