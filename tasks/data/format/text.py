"""Rows of plain text: {"text": "..."}; every token but the first is a target, or those of `spans` are."""

from typing import Any

from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Example
from tasks.data.format.weight import read_spans
from tasks.errors import DataError

NEEDS = (("text",),)
TAKES = ("spans",)


def parse(row: dict[str, Any]) -> Example:
    """Reads `text`, and `spans` of it in characters.

    Raises:
        DataError: no text, or an empty one.

    Example:
        >>> parse({"text": "Once upon a time", "spans": [[0, 4]]}).spans
        ((0, 4, 1.0),)
    """
    text = row.get("text")
    if not isinstance(text, str):
        raise DataError(f"'text' is {kind_of(text)}; it must be a string")
    if not text.strip():
        raise DataError("'text' is empty; there is nothing to learn from it")
    return Example("text", text=text, spans=read_spans(row.get("spans"), len(text), "text"))
