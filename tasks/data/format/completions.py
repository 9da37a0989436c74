"""Rows of a prompt and its completion: {"prompt", "completion"} or {"question", "answer"}, with an optional system."""

from typing import Any

from tasks.data.format.chat import read_messages, read_tools
from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Example, Message
from tasks.errors import DataError

PAIRS = (("prompt", "completion"), ("question", "answer"))


def parse(row: dict[str, Any]) -> Example:
    """Reads a pair as a user turn and an assistant turn; each side may also be a list of messages.

    Example:
        >>> [m.role for m in parse({"question": "6 * 7?", "answer": "42"}).messages]
        ['user', 'assistant']
    """
    ask, answer = next((pair for pair in PAIRS if pair[0] in row or pair[1] in row), PAIRS[0])
    prompt = _side(row, ask, "user")
    completion = _side(row, answer, "assistant")
    if any(m.role not in ("assistant", "tool") for m in completion) or completion[-1].role != "assistant":
        raise DataError(f"{answer!r} has turns that are not the assistant's; put what is asked into {ask!r}")
    system = row.get("system")
    if system is not None and not isinstance(system, str):
        raise DataError(f"'system' is {kind_of(system)}; it must be a string")
    lead = (Message("system", system), *prompt) if system else prompt
    return Example(
        "completions", messages=(*lead, *completion), tools=read_tools(row.get("tools")), answer_from=len(lead)
    )


def _side(row: dict[str, Any], key: str, role: str) -> tuple[Message, ...]:
    value = row.get(key)
    if isinstance(value, str):
        return (Message(role, value),)
    if isinstance(value, list):
        return read_messages(value, key)
    raise DataError(f"{key!r} is {kind_of(value)}; it must be a string or a list of messages")
