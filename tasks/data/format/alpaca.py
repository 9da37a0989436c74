"""Rows of Alpaca: {"instruction", "input", "output" or "response"}, some with `system` and `history`."""

from typing import Any

from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Example, Message
from tasks.data.format.row import filled
from tasks.data.format.weight import read_spans
from tasks.errors import DataError

NEEDS = (("instruction", "output"), ("instruction", "response"))
TAKES = ("input", "system", "history", "spans")


def parse(row: dict[str, Any]) -> Example:
    """Reads an instruction, with its input below it, as a user's turn, and the output as the assistant's.

    Raises:
        DataError: a column that is no text, or a history that is no list of pairs.

    Example:
        >>> parse({"instruction": "Add.", "input": "1, 2", "output": "3"}).messages[0].content
        'Add.\\n\\n1, 2'
    """
    said = filled(dict.get(row, "output")), filled(dict.get(row, "response"))
    answer = "response" if said == (False, True) or (said[0] == said[1] and "output" not in row) else "output"
    instruction, extra, output = _text(row, "instruction"), _text(row, "input", optional=True), _text(row, answer)
    messages = [Message("system", system)] if (system := _text(row, "system", optional=True)) else []
    history = row.get("history") or []
    if not isinstance(history, list):
        raise DataError(f"'history' is {kind_of(history)}; it must be a list of [instruction, output]")
    for n, pair in enumerate(history):
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(side, str) for side in pair)):
            raise DataError(f"history[{n}] is not a pair of strings; write [instruction, output]")
        messages += [Message("user", pair[0]), Message("assistant", pair[1])]
    user = f"{instruction}\n\n{extra}" if extra.strip() else instruction
    spans = read_spans(row.get("spans"), len(output), answer)
    messages += [Message("user", user), Message("assistant", output, spans=spans)]
    return Example("alpaca", messages=tuple(messages), answer_from=len(messages) - 1)


def _text(row: dict[str, Any], key: str, *, optional: bool = False) -> str:
    value = row.get(key)
    if value is None and optional:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{key!r} is {kind_of(value)}; it must be a string")
    return value
