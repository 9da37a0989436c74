"""Rows of plain text: {"text": "..."}; every token but the first is a target."""

from typing import Any

from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Example
from tasks.errors import DataError


def parse(row: dict[str, Any]) -> Example:
    """Reads `text`.

    Example:
        >>> parse({"text": "Once upon a time"}).text
        'Once upon a time'
    """
    text = row.get("text")
    if not isinstance(text, str):
        raise DataError(f"'text' is {kind_of(text)}; it must be a string")
    if not text.strip():
        raise DataError("'text' is empty; there is nothing to learn from it")
    return Example("text", text=text)
