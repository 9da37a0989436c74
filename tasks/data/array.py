"""Rows of a JSON array, read element by element: the file is never held as a whole."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from tasks.data.row import parse_json
from tasks.errors import DataError

_SCAN = json.JSONDecoder()
_GAP = re.compile(r"[ \t\r\n]*")
_CHUNK = 1 << 20


def read_array(file: IO[bytes], path: str) -> Iterator[tuple[int, Any]]:
    """The elements of a JSON array, each with the line it begins on.

    Yields:
        (line, element), or (line, DataError) for one that the strict reader refuses.

    Raises:
        DataError: the array itself is broken.

    Example:
        >>> import io
        >>> list(read_array(io.BytesIO(b'[{"text": "a"},\\n {"text": "b"}]'), "a.json"))
        [(1, {'text': 'a'}), (2, {'text': 'b'})]
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    text, at, line, last, size = "", 0, 1, False, _CHUNK

    def more() -> None:
        nonlocal text, at, last, size
        data = file.read(size)
        last = not data
        try:
            text, at = text[at:] + decoder.decode(data, final=last), 0
        except UnicodeDecodeError as error:
            raise DataError(f"a byte (0x{error.object[error.start]:02x}) is not UTF-8", path=path, line=line) from None

    def skip(expected: str) -> str:
        nonlocal at, line
        while True:
            gap = _GAP.match(text, at)
            end = gap.end() if gap else at
            line += text.count("\n", at, end)
            at = end
            if at < len(text) or last:
                break
            more()
        if text[at : at + 1] not in expected or at >= len(text):
            found = repr(text[at : at + 1]) if at < len(text) else "the end of the file; is it cut off?"
            raise DataError(f"the JSON array has {found} where {' or '.join(expected)} must be", path=path, line=line)
        at += 1
        return text[at - 1]

    skip("[")
    first = True
    while True:
        mark = skip("]{" if first else ",]")
        if mark == "]":
            break
        if mark == ",":
            skip("{")
        first = False
        at -= 1
        while True:
            try:
                end = _SCAN.raw_decode(text, at)[1]
                break
            except (json.JSONDecodeError, RecursionError) as error:
                if last:
                    raise DataError(f"not JSON: {error}", path=path, line=line) from None
                size *= 2  # an element longer than what is read at a time: the work stays linear
                more()
        element, number = text[at:end], line
        line += element.count("\n")
        at, size = end, _CHUNK
        try:
            yield number, parse_json(element)
        except DataError as error:
            yield number, DataError(error.reason, path=path, line=number)
    if text[at:].strip() or file.read(_CHUNK).strip():
        raise DataError("something follows the JSON array", path=path, line=line)
