"""Rows of Alpaca: {"instruction", "input", "output" or "response"}, some with `system` and `history`."""

from typing import Any

from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Example, Message
from tasks.errors import DataError


def parse(row: dict[str, Any]) -> Example:
    """Reads an instruction, with its input below it, as a user turn, and the output as the assistant's.

    Example:
        >>> parse({"instruction": "Add.", "input": "1, 2", "output": "3"}).messages[0].content
        'Add.\\n\\n1, 2'
    """
    answer = "output" if "output" in row or "response" not in row else "response"
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
    messages += [Message("user", user), Message("assistant", output)]
    return Example("alpaca", messages=tuple(messages), answer_from=len(messages) - 1)


def _text(row: dict[str, Any], key: str, *, optional: bool = False) -> str:
    value = row.get(key)
    if value is None and optional:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{key!r} is {kind_of(value)}; it must be a string")
    return value
