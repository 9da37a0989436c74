"""Hints for the end of an error's message: the probable meaning of a row that cannot be read."""

from collections.abc import Mapping
from typing import Any

_STARTS = {
    "'": "JSON strings stand in double quotes",
    "/": "JSON has no comments",
    "#": "JSON has no comments",
    "N": "write null, not None",
    "T": "write true, not True",
    "F": "write false, not False",
    "\N{LEFT DOUBLE QUOTATION MARK}": "JSON strings stand in straight double quotes",
}


def json_hint(text: str, at: int) -> str:
    """Guesses the mistake at the character where the JSON decoder gave up; an empty string where there is no guess.

    Args:
        text: the line.
        at: the character, counted from 0.

    Example:
        >>> json_hint("{'a': 1}", 1)
        '; JSON strings stand in double quotes'
        >>> json_hint('{"a": 1,}', 8)
        '; is there a comma too many?'
    """
    found, before, after = text[at : at + 1], text[:at].rstrip(), text[at:].lstrip()
    if text.strip() in ("{", "[", '{"', "}", "]", "},"):
        return "; one object must stand on each line, not pretty-printed JSON"
    if found in _STARTS:
        return f"; {_STARTS[found]}"
    if found in ("}", "]", ",") and before.endswith((",", "[", "{")):
        return "; is there a comma too many?"
    if "\r" in text[:at].rstrip("\r\n \t") or text[at - 1 : at] == "\r":
        return "; a carriage return alone stands between two rows, save the file with line feeds"
    if before.endswith(("}", "]")) and after.startswith(("{", "[")):
        return "; two rows stand on one line"
    if "\t" in text and "{" not in text:
        return "; this is a table: separate its cells by commas, in a file that ends with .csv"
    if found and found < " ":
        return "; a line end or tab inside a string is written \\n or \\t"
    return ""


def columns_hint(row: Mapping[str, Any], known: set[str]) -> str:
    """Guesses the meaning of a row whose columns fit no format; an empty string where there is no guess.

    Args:
        row: the raw row.
        known: the columns by which formats are detected.

    Example:
        >>> columns_hint({"Messages": []}, {"messages"})
        "; is 'Messages' meant as 'messages'? say data.columns={messages: 'Messages'}"
    """
    for name in row:
        plain = name.strip().lower()
        if plain in known and plain != name:
            return f"; is {name!r} meant as {plain!r}? say data.columns={{{plain}: {name!r}}}"
    if {"role", "content"} <= set(row) or {"from", "value"} <= set(row):
        return "; this is one message, a row holds the list of them: {'messages': [...]}"
    only = next(iter(row.values()), None)
    if len(row) == 1 and (mark := next((mark for mark in (";", "\t", "|") if mark in next(iter(row))), None)):
        return f"; the cells seem to be separated by {mark!r}: save the file with commas"
    if len(row) == 1 and isinstance(only, list) and only and isinstance(only[0], dict):
        return f"; the rows seem to stand inside {next(iter(row))!r}: save that list alone"
    return ""
