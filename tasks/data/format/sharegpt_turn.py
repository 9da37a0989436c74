"""One turn as ShareGPT writes it: {"from", "value"}."""

import json
from typing import Any

from tasks.data.format.message import Message
from tasks.data.format.weight import FLAGS, read_spans, read_weight
from tasks.errors import DataError

FROM = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
    "function_call": "assistant",
    "observation": "tool",
    "function_response": "tool",
    "tool": "tool",
}
"""The senders there are, and the role of each."""

_READ = {"from", "value", "weight", "spans", *FLAGS}


def read_turn(turn: Any, where: str) -> Message:
    """Reads one turn; a `function_call` is an assistant's tool call, an `observation` the tool's answer.

    Args:
        turn: the turn.
        where: its place in the row, for errors.

    Raises:
        DataError: no text, an unknown sender, or a function call that is none.

    Example:
        >>> read_turn({"from": "gpt", "value": "ho"}, "conversations[1]").role
        'assistant'
    """
    if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
        raise DataError(f"{where} has no 'value' string; a turn is {{'from': ..., 'value': ...}}")
    sender, value = turn.get("from"), turn["value"]
    if not isinstance(sender, str) or sender not in FROM:
        raise DataError(f"{where}: from is {sender!r}; choose from {', '.join(FROM)}")
    weight, unread = read_weight(turn, where), {key: item for key, item in turn.items() if key not in _READ}
    if sender != "function_call":
        spans = read_spans(turn.get("spans"), len(value), where)
        return Message(FROM[sender], value, weight=weight, spans=spans, unread=unread)
    try:
        calls = json.loads(value)
    except ValueError:
        raise DataError(f"{where}: the function_call is not JSON: {value!r:.60}") from None
    calls = calls if isinstance(calls, list) else [calls]
    return Message(
        "assistant", "", tool_calls=tuple(_call(call, where) for call in calls), weight=weight, unread=unread
    )


def _call(call: Any, where: str) -> dict[str, Any]:
    arguments = call.get("arguments", {}) if isinstance(call, dict) else None
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            arguments = None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not isinstance(arguments, dict):
        raise DataError(f"{where}: a function_call is {{'name': ..., 'arguments': {{...}}}}")
    return {"type": "function", "function": {"name": call["name"], "arguments": arguments}}
