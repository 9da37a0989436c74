"""Rows of ShareGPT: {"conversations": [{"from", "value"}, ...], "system", "tools"}."""

import json
from typing import Any

from tasks.data.format.chat import check_supervised, read_tools
from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Example, Message
from tasks.data.format.weight import read_weight
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
    "tool": "tool",
}


def parse(row: dict[str, Any]) -> Example:
    """Reads `conversations`; a `function_call` is an assistant's tool call, an `observation` the tool's answer.

    Example:
        >>> turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]
        >>> [m.role for m in parse({"conversations": turns}).messages]
        ['user', 'assistant']
    """
    messages = read_turns(row.get("conversations"), "conversations", row.get("system"))
    check_supervised(messages)
    return Example("sharegpt", messages=messages, tools=read_tools(row.get("tools")))


def read_turns(value: Any, key: str, system: Any = None) -> tuple[Message, ...]:
    """ShareGPT turns as Messages, led by a system message where there is one."""
    if not isinstance(value, list) or not value:
        raise DataError(f"{key!r} is {kind_of(value)}; it must be a list of turns")
    if system is not None and not isinstance(system, str):
        raise DataError(f"'system' is {kind_of(system)}; it must be a string")
    lead = (Message("system", system),) if system else ()
    return (*lead, *(read_turn(turn, f"{key}[{n}]") for n, turn in enumerate(value)))


def read_turn(turn: Any, where: str) -> Message:
    """One ShareGPT turn as a Message."""
    if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
        raise DataError(f"{where} has no 'value' string; a turn is {{'from': ..., 'value': ...}}")
    sender, value = turn.get("from"), turn["value"]
    if not isinstance(sender, str) or sender not in FROM:
        raise DataError(f"{where}: from is {sender!r}; choose from {', '.join(FROM)}")
    weight = read_weight(turn, where)
    if sender != "function_call":
        return Message(FROM[sender], value, weight=weight)
    try:
        calls = json.loads(value)
    except ValueError:
        raise DataError(f"{where}: the function_call is not JSON: {value!r:.60}") from None
    calls = calls if isinstance(calls, list) else [calls]
    return Message("assistant", "", tool_calls=tuple(_call(call, where) for call in calls), weight=weight)


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
