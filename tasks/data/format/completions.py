"""Rows of a prompt and its completion: {"prompt", "completion"} or {"question", "answer"}, with an optional system."""

from typing import Any

from tasks.data.format.conversation import read_messages, with_system
from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Example, Message
from tasks.data.format.openai_message import read_tools
from tasks.data.format.row import filled
from tasks.data.format.weight import read_spans
from tasks.errors import DataError

NEEDS = (("prompt", "completion"), ("question", "answer"))
TAKES = ("system", "tools", "functions", "spans")


def parse(row: dict[str, Any]) -> Example:
    """Reads a pair as a user's turn and an assistant's; each side may also be a list of messages.

    Raises:
        DataError: a side that is neither text nor messages, or turns of others in the completion.

    Example:
        >>> [m.role for m in parse({"question": "6 * 7?", "answer": "42"}).messages]
        ['user', 'assistant']
    """
    ask, answer = _pair(row)
    prompt = _side(row, ask, "user")
    completion = _side(row, answer, "assistant")
    if any(m.role not in ("assistant", "tool") for m in completion) or completion[-1].role != "assistant":
        raise DataError(f"{answer!r} has turns that are not the assistant's; put what is asked into {ask!r}")
    lead = with_system(row, prompt)
    return Example("completions", messages=(*lead, *completion), tools=read_tools(row), answer_from=len(lead))


def _pair(row: dict[str, Any]) -> tuple[str, str]:
    """The two columns: those that say something, or else those that are there."""
    for good in (lambda name: filled(dict.get(row, name)), row.__contains__):
        for every in (all, any):
            if found := next((pair for pair in NEEDS if every(good(name) for name in pair)), None):
                return found
    return NEEDS[0]


def _side(row: dict[str, Any], key: str, role: str) -> tuple[Message, ...]:
    value = row.get(key)
    if isinstance(value, str):
        spans = read_spans(row.get("spans"), len(value), key) if role == "assistant" else None
        return (Message(role, value, spans=spans),)
    if isinstance(value, list):
        return read_messages(value, key)
    raise DataError(f"{key!r} is {kind_of(value)}; it must be a string or a list of messages")
