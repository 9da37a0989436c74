"""Rows of a .txt file: the whole of it, or a paragraph or a line each."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tasks.data.source.json_line import decode_text
from tasks.errors import DataError

LONGEST = 64 << 20
"""Bytes of the longest text that is one row."""


def read_text(file: IO[bytes], path: Path, rows: str) -> Iterator[tuple[int, Any]]:
    """Reads a file of text as rows of `text`, each with the line that it begins on.

    Args:
        file: its bytes, UTF-8.
        path: the file, for errors.
        rows: `file`, one row of all; `paragraph`, a row for what stands between blank lines; or `line`.

    Yields:
        (line, row), or (line, DataError) for a text that is not UTF-8.

    Raises:
        DataError: a row is longer than LONGEST.

    Example:
        >>> import io
        >>> list(read_text(io.BytesIO(b"One.\\nTwo.\\n\\nThree.\\n"), Path("a.txt"), "paragraph"))
        [(1, {'text': 'One.\\nTwo.'}), (4, {'text': 'Three.'})]
    """
    for first, content in _parts(file, path, rows):
        try:
            text = decode_text(content).replace("\r\n", "\n").strip("\n")
        except DataError as error:
            yield first, DataError(error.reason, path=path, line=first)
            continue
        if text.strip():
            yield first, {"text": text}


def _parts(file: IO[bytes], path: Path, rows: str) -> Iterator[tuple[int, bytes]]:
    part, first = bytearray(), 1
    for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), start=1):
        if not part:
            first = number
        if part or line.strip():
            part += line
        if rows == "line" or (rows == "paragraph" and not line.strip()):
            yield first, bytes(part)
            part.clear()
        if len(part) > LONGEST:
            raise DataError(
                f"the text is longer than {LONGEST >> 20} MiB; split the file, or read it by data.text_rows=paragraph",
                path=path,
                line=first,
            )
    yield first, bytes(part)
