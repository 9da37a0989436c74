"""Rows of chat: {"messages": [{"role", "content", ...}, ...], "tools": [...]}, as OpenAI writes them."""

import json
from typing import Any

from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import ROLES, Example, Message
from tasks.data.format.weight import read_weight
from tasks.errors import DataError

_OURS = {"role", "content", "reasoning_content", "reasoning", "thinking", "tool_calls", "function_call"}
_OURS |= {"train", "weight"}


def parse(row: dict[str, Any]) -> Example:
    """Reads `messages` and `tools`.

    Raises:
        DataError: a wrong type, an unknown role, no assistant turn, or a last turn that is not the assistant's.

    Example:
        >>> parse({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}).format
        'chat'
    """
    messages = (*_system(row), *read_messages(row.get("messages"), "messages"))
    check_supervised(messages)
    return Example("chat", messages=messages, tools=read_tools(row.get("tools")))


def _system(row: dict[str, Any]) -> tuple[Message, ...]:
    """A system message written beside the conversation rather than in it."""
    system = row.get("system")
    if system is None or system == "":
        return ()
    if not isinstance(system, str):
        raise DataError(f"'system' is {kind_of(system)}; it must be a string")
    if any(isinstance(item, dict) and item.get("role") == "system" for item in row.get("messages") or []):
        raise DataError("the row has a 'system' of its own and a system message too; which is meant?")
    return (Message("system", system),)


def check_supervised(messages: tuple[Message, ...]) -> None:
    """Refuses a conversation in which nothing can be learned."""
    if not any(m.role == "assistant" for m in messages):
        raise DataError("no message is 'assistant'; a supervised example must have one to learn from")
    if messages[-1].role != "assistant":
        raise DataError(f"the last message is {messages[-1].role!r}; a supervised example must end with 'assistant'")


def read_messages(value: Any, key: str) -> tuple[Message, ...]:
    """A list of message dicts as Messages; `key` names it in errors."""
    if not isinstance(value, list) or not value:
        raise DataError(f"{key!r} is {kind_of(value)}; it must be a non-empty list of messages")
    return tuple(_message(item, f"{key}[{n}]") for n, item in enumerate(value))


def read_tools(value: Any) -> tuple[dict[str, Any], ...]:
    """The tools of a row: a list of JSON schemas, or such a list as a JSON string; None or an empty one is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except ValueError:
            raise DataError("'tools' is a string that is not JSON; write a list of function schemas") from None
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise DataError(f"'tools' is {kind_of(value)}; it must be a list of function schemas")
    return tuple(value)


def _message(item: Any, where: str) -> Message:
    if not isinstance(item, dict):
        raise DataError(f"{where} is {kind_of(item)}; a message is an object with 'role' and 'content'")
    role = item.get("role")
    if role not in ROLES:
        shown = "missing" if role is None else repr(role)
        hint = "; rows with 'human' and 'gpt' are written {'conversations': [{'from', 'value'}]}"
        hint = hint if role in ("human", "gpt") else ""
        plain = role.strip().lower() if isinstance(role, str) else ""
        hint = f"; write {plain!r}" if plain in ROLES else hint
        raise DataError(f"{where}: the role is {shown}; choose from {', '.join(ROLES)}{hint}")
    calls = _tool_calls(item, where)
    if calls and role != "assistant":
        raise DataError(f"{where}: tool_calls of a {role!r} message; only an 'assistant' calls tools")
    content = read_content(item.get("content"), where, optional=bool(calls))
    reasoning = next((item[k] for k in ("reasoning_content", "reasoning", "thinking") if item.get(k) is not None), None)
    if reasoning is not None and not isinstance(reasoning, str):
        raise DataError(f"{where}: the reasoning is {kind_of(reasoning)}; it must be a string")
    extra = {k: v for k, v in item.items() if k not in _OURS and v is not None}
    return Message(role, content, reasoning, calls, read_weight(item, where), extra)


def read_content(value: Any, where: str, *, optional: bool = False) -> str:
    """A message's content as one string: a string, or a list of text parts, joined."""
    if isinstance(value, str):
        return value
    if value is None and optional:
        return ""
    if isinstance(value, list) and value:
        texts: list[Any] = [part.get("text") if isinstance(part, dict) else part for part in value]
        kinds = [part.get("type", "text") if isinstance(part, dict) else "text" for part in value]
        if other := [kind for kind in kinds if kind != "text"]:
            raise DataError(f"{where}: the content has a part of type {other[0]!r}; only text can be trained on")
        if not all(isinstance(text, str) for text in texts):
            raise DataError(f"{where}: a text part of the content has no 'text' string")
        return "".join(texts)
    raise DataError(f"{where}: the content is {kind_of(value)}; it must be a string or a list of text parts")


def _tool_calls(item: dict[str, Any], where: str) -> tuple[dict[str, Any], ...]:
    calls = item.get("tool_calls")
    if calls is None and isinstance(item.get("function_call"), dict):
        calls = [{"type": "function", "function": item["function_call"]}]
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise DataError(f"{where}: tool_calls is {kind_of(calls)}; it must be a list")
    return tuple(_tool_call(call, where) for call in calls)


def _tool_call(call: Any, where: str) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise DataError(f"{where}: a tool call has no function name; write {{'function': {{'name', 'arguments'}}}}")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        # OpenAI sends arguments as a JSON string; templates quote such a string a second time, so it is opened here.
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except ValueError:
            raise DataError(f"{where}: the arguments of {function['name']!r} are not JSON: {arguments!r:.60}") from None
    if not isinstance(arguments, dict):
        raise DataError(f"{where}: the arguments of {function['name']!r} are {kind_of(arguments)}; write an object")
    outer = {} if call is function else {k: v for k, v in call.items() if k != "function"}
    return {"type": "function", **outer, "function": {**function, "arguments": arguments}}
