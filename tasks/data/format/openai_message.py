"""One message as OpenAI writes it: {"role", "content", "tool_calls", ...}."""

import json
from typing import Any

from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import ROLES, Message
from tasks.data.format.row import filled
from tasks.data.format.weight import FLAGS, read_spans, read_weight
from tasks.errors import DataError

_REASONING = ("reasoning_content", "reasoning", "thinking")
_READ = {"role", "content", *_REASONING, "tool_calls", "function_call", "weight", "spans", *FLAGS}


def read_message(item: Any, where: str) -> Message:
    """Reads one message; OpenAI's older role `function` is a tool's.

    Args:
        item: the message.
        where: its place in the row, for errors.

    Raises:
        DataError: no object, an unknown role, a content that is no text, or a tool call that is none.

    Example:
        >>> read_message({"role": "function", "name": "look_up", "content": "a small bird"}, "messages[2]").role
        'tool'
    """
    if not isinstance(item, dict):
        raise DataError(f"{where} is {kind_of(item)}; a message is an object with 'role' and 'content'")
    role = _role(item.get("role"), where)
    calls = _tool_calls(item, where)
    if calls and role != "assistant":
        raise DataError(f"{where}: tool_calls of a {role!r} message; only an 'assistant' calls tools")
    content = read_content(item.get("content"), where, optional=bool(calls))
    reasoning = {key: item[key] for key in _REASONING if filled(item.get(key))}
    if not all(isinstance(text, str) for text in reasoning.values()):
        wrong = next(text for text in reasoning.values() if not isinstance(text, str))
        raise DataError(f"{where}: the reasoning is {kind_of(wrong)}; it must be a string")
    first = next(iter(reasoning.values()), None)
    return Message(
        role,
        content,
        first,
        calls,
        read_weight(item, where),
        read_spans(item.get("spans"), len(content), where),
        {key: value for key, value in item.items() if key not in _READ and value is not None},
        {key: text for key, text in reasoning.items() if text != first},
    )


def read_content(value: Any, where: str, *, optional: bool = False) -> str:
    """Reads a content as one string: a string, or a list of text parts, which are joined.

    Args:
        value: of `content`.
        where: the message's place in the row, for errors.
        optional: whether null means an empty one.

    Raises:
        DataError: anything else, such as a part that is an image.

    Example:
        >>> read_content([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "messages[0]")
        'ab'
    """
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


def read_tools(row: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Reads the tools of a row: `tools`, a list of JSON schemas or such a list as JSON text; or OpenAI's older
    `functions`, which are the schemas alone.

    Raises:
        DataError: neither a list of objects nor JSON text of one.

    Example:
        >>> read_tools({"functions": [{"name": "look_up"}]})
        ({'type': 'function', 'function': {'name': 'look_up'}},)
    """
    key = "tools" if filled(row.get("tools")) or not filled(row.get("functions")) else "functions"
    value = row.get(key)
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except ValueError:
            raise DataError(f"{key!r} is a string that is not JSON; write a list of function schemas") from None
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise DataError(f"{key!r} is {kind_of(value)}; it must be a list of function schemas")
    return tuple(value if key == "tools" else ({"type": "function", "function": schema} for schema in value))


def _role(role: Any, where: str) -> str:
    if role == "function":
        return "tool"
    if role in ROLES:
        return role
    shown = "missing" if role is None else repr(role)
    hint = "; rows with 'human' and 'gpt' are written {'conversations': [{'from', 'value'}]}"
    hint = hint if role in ("human", "gpt") else ""
    plain = role.strip().lower() if isinstance(role, str) else ""
    hint = f"; write {plain!r}" if plain in ROLES else hint
    raise DataError(f"{where}: the role is {shown}; choose from {', '.join(ROLES)}{hint}")


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
