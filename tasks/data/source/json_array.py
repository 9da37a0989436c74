"""Rows of a JSON array, read element by element: the file is never held as a whole."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from tasks.data.source.json_line import parse_json
from tasks.errors import DataError

_SCAN = json.JSONDecoder()
_GAP = re.compile(r"[ \t\r\n]*")
_CHUNK = 1 << 20
_LONGEST = 64 << 20
# The decoder's longest token that is not a string (a number apart): what fails nearer to the end may be cut off.
_TOKEN = 16


def read_array(file: IO[bytes], path: str, line: int = 1) -> Iterator[tuple[int, Any]]:
    """Reads the elements of a JSON array, each with the line that it begins on.

    Args:
        file: the bytes, UTF-8.
        path: the file, for errors.
        line: the line that `file` begins on.

    Yields:
        (line, element), or (line, DataError) for one that the strict reader refuses.

    Raises:
        DataError: the array itself is broken.

    Example:
        >>> import io
        >>> list(read_array(io.BytesIO(b'[{"text": "a"},\\n {"text": "b"}]'), "a.json"))
        [(1, {'text': 'a'}), (2, {'text': 'b'})]
    """
    window = _Window(file, path, line)
    window.skip("[")
    first = True
    while (mark := window.skip("]" if first else ",]", or_value=first)) != "]":
        if mark == ",":
            window.skip("", or_value=True)
        first = False
        element, number = window.element()
        try:
            yield number, parse_json(element)
        except DataError as error:
            yield number, DataError(error.reason, path=path, line=number)
    if not window.at_end():
        raise DataError("something follows the JSON array", path=path, line=window.line)


class _Window:
    """The part of the text that is being looked at."""

    def __init__(self, file: IO[bytes], path: str, line: int):
        self._file, self._path, self.line = file, path, line
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._last, self._size = "", 0, False, _CHUNK

    def skip(self, marks: str, *, or_value: bool = False) -> str:
        """Goes behind the white space and one of `marks`, or up to a value; gives the mark or ""."""
        self._gap()
        found = self._text[self._at : self._at + 1]
        if found and found in marks:
            self._at += 1
            return found
        if not found or not or_value or found in ",]}:":
            wanted = " or ".join([*marks, *(["a row"] if or_value else [])])
            shown = repr(found) if found else "the end of the file; is it cut off?"
            self._fail(f"the JSON array has {shown} where {wanted} must be")
        return ""

    def element(self) -> tuple[str, int]:
        """Reads the text of the next value, and its line."""
        while True:
            try:
                end = _SCAN.raw_decode(self._text, self._at)[1]
                if end < len(self._text) or self._last:  # else a number may go on
                    break
            except (json.JSONDecodeError, RecursionError, ValueError) as error:
                if self._last or not self._may_be_cut(error):
                    self._fail(f"not JSON: {getattr(error, 'msg', error)} in the row that begins here")
            if len(self._text) - self._at > _LONGEST:
                self._fail(f"the row that begins here is longer than {_LONGEST >> 20} MiB")
            self._size *= 2  # longer than what is read at a time: the work stays linear
            self._more()
        element, line = self._text[self._at : end], self.line
        self.line += element.count("\n")
        self._at, self._size = end, _CHUNK
        return element, line

    def at_end(self) -> bool:
        """Looks whether nothing but white space follows."""
        self._gap()
        return self._at == len(self._text)

    def _may_be_cut(self, error: Exception) -> bool:
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated string") or error.pos > len(self._text) - _TOKEN

    def _gap(self) -> None:
        while True:
            gap = _GAP.match(self._text, self._at)
            end = gap.end() if gap else self._at
            self.line += self._text.count("\n", self._at, end)
            self._at = end
            if end < len(self._text) or self._last:
                return
            self._more()

    def _more(self) -> None:
        data = self._file.read(self._size)
        self._last = not data
        try:
            self._text, self._at = self._text[self._at :] + self._decoder.decode(data, final=self._last), 0
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            self._fail(f"a byte (0x{byte:02x}) is not UTF-8; say data.encoding if it is another encoding")

    def _fail(self, reason: str) -> None:
        raise DataError(reason, path=self._path, line=self.line) from None
