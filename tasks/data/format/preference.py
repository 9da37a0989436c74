"""Preference rows: a prompt with a `chosen` and a `rejected` answer, for losses that compare two."""

from typing import Any

from tasks.data.format.conversation import read_messages, with_system
from tasks.data.format.message import Example, Message
from tasks.data.format.openai_message import read_message, read_tools
from tasks.data.format.row import filled
from tasks.data.format.sharegpt_turn import read_turn
from tasks.errors import DataError

NEEDS = (("chosen", "rejected"),)
TAKES = ("prompt", "question", "conversations", "messages", "system", "tools", "functions")


def parse(row: dict[str, Any]) -> Example:
    """Reads `chosen` and `rejected`: strings, a message, or lists of messages, after `prompt` or `conversations`.

    Where both are whole conversations, the turns they share are the prompt.

    Raises:
        DataError: an answer that is neither text nor messages, or two that do not follow one prompt.

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
        tools=read_tools(row),
        answer_from=len(prompt),
        rejected=rejected,
    )


def _prompt(row: dict[str, Any]) -> tuple[Message, ...]:
    key = next((key for key in ("conversations", "prompt", "question", "messages") if filled(dict.get(row, key))), None)
    if key is None:
        return ()
    value = row.get(key)
    if key in ("prompt", "question") and isinstance(value, str):
        return with_system(row, (Message("user", value),))
    return with_system(row, read_messages(value, key))


def _answer(row: dict[str, Any], key: str) -> tuple[Message, ...]:
    value = row.get(key)
    if isinstance(value, str):
        return (Message("assistant", value),)
    if isinstance(value, dict):
        return (read_turn(value, key) if "from" in value else read_message(value, key),)
    return read_messages(value, key)
