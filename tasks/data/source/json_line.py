"""One line of JSON as a row, strictly: a line that another reader would take differently, or lose, is refused."""

import json
import math
from typing import Any

from tasks.data.source.hints import json_hint
from tasks.errors import DataError


def decode_row(line: bytes, path: str, number: int) -> Any:
    """Decodes one line.

    Args:
        line: its bytes, with or without the line end.
        path: the file, for the error.
        number: the line, counted from 1.

    Raises:
        DataError: bytes that are not UTF-8, a NUL byte, bad JSON, a duplicate key, NaN, or half a surrogate pair.

    Example:
        >>> decode_row(b'{"text": "a"}', "a.jsonl", 1)
        {'text': 'a'}
    """
    try:
        return parse_json(decode_text(line))
    except DataError as error:
        raise DataError(error.reason, path=path, line=number) from None


def decode_text(data: bytes) -> str:
    """Decodes UTF-8 bytes.

    Raises:
        DataError: a NUL byte, or bytes of another encoding.

    Example:
        >>> decode_text("é".encode())
        'é'
    """
    if b"\0" in data:
        raise DataError(
            "the line has a NUL byte; the file is damaged, or UTF-16 without a mark (data.encoding=utf-16-le)"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = data[error.start]
        where = f"byte {error.start + 1} of the line (0x{byte:02x}) is not UTF-8"
        raise DataError(f"{where}; if the file is Latin-1 or Windows-1252, say data.encoding=cp1252") from None


def parse_json(text: str) -> Any:
    """Parses a JSON text strictly.

    Raises:
        DataError: bad JSON, a duplicate key, NaN, a number that is too large, or half a surrogate pair.

    Example:
        >>> parse_json('{"a": [1, 2.5]}')
        {'a': [1, 2.5]}
    """
    try:
        # Files with byte order marks that were joined into one have such a mark at the beginning of a line.
        value = _DECODER.decode(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        hint = json_hint(text, error.pos)
        # A line that ends too early ends where its text does, not at column 1 of the next.
        column = error.colno if "\n" in text.strip() else min(error.pos, len(text.rstrip())) + 1
        raise DataError(f"not JSON: {error.msg.removesuffix(' at')} at column {column}{hint}") from None
    except RecursionError:
        raise DataError("the JSON is nested too deeply") from None
    except ValueError as error:
        raise DataError(f"not JSON: {error}") from None
    check_surrogates(text, value)
    return value


def check_surrogates(text: str, value: Any) -> None:
    """Refuses half of a surrogate pair, which no tokenizer can encode.

    Args:
        text: JSON.
        value: parsed from it.

    Raises:
        DataError: a string of the value has such a half.

    Example:
        >>> check_surrogates('"\\\\ud83d\\\\ude00"', "\\U0001f600")
    """
    if "\\ud" not in text and "\\uD" not in text:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise DataError("a string has half of a surrogate pair (\\ud800 to \\udfff); it is not text") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise DataError(f"the key {twice!r} stands twice in one object; which is meant?")
    return row


def _constant(name: str) -> Any:
    raise DataError(f"{name} is not JSON")


def _float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise DataError(f"the number {text} is too large")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
