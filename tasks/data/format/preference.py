"""Preference rows: a prompt with a `chosen` and a `rejected` answer, for losses that compare two."""

from typing import Any

from tasks.data.format.chat import read_messages, read_tools
from tasks.data.format.message import Example, Message
from tasks.data.format.sharegpt import read_turn, read_turns
from tasks.errors import DataError


def parse(row: dict[str, Any]) -> Example:
    """Reads `chosen` and `rejected`: strings, a message, or lists of messages, after `prompt` or `conversations`.

    Where both are whole conversations, the turns they share are the prompt.

    Example:
        >>> example = parse({"prompt": "2 + 2?", "chosen": "4", "rejected": "5"})
        >>> example.messages[example.answer_from].content, example.rejected[0].content
        ('4', '5')
    """
    prompt = _prompt(row)
    chosen, rejected = _answer(row, "chosen"), _answer(row, "rejected")
    if not prompt:
        shared = 0
        while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
            shared += 1
        prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    if not prompt or not chosen or not rejected:
        raise DataError("'chosen' and 'rejected' must follow one prompt and differ after it")
    return Example(
        "preference",
        messages=(*prompt, *chosen),
        tools=read_tools(row.get("tools")),
        answer_from=len(prompt),
        rejected=rejected,
    )


def _prompt(row: dict[str, Any]) -> tuple[Message, ...]:
    if row.get("conversations") is not None:
        return read_turns(row["conversations"], "conversations", row.get("system"))
    value = row.get("prompt", row.get("question"))
    if value is None:
        return read_messages(row["messages"], "messages") if row.get("messages") is not None else ()
    return (Message("user", value),) if isinstance(value, str) else read_messages(value, "prompt")


def _answer(row: dict[str, Any], key: str) -> tuple[Message, ...]:
    value = row.get(key)
    if isinstance(value, str):
        return (Message("assistant", value),)
    if isinstance(value, dict):
        return (read_turn(value, key),) if "from" in value else read_messages([value], key)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "from" in value[0]:
        return read_turns(value, key)
    return read_messages(value, key)
