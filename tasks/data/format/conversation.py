"""Conversations: a list of messages, OpenAI's or ShareGPT's, and the system message that may stand beside it."""

from typing import Any

from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Message
from tasks.data.format.openai_message import read_message
from tasks.data.format.sharegpt_turn import read_turn
from tasks.data.source.json_line import parse_json
from tasks.errors import DataError


def read_conversation(row: dict[str, Any], key: str) -> tuple[Message, ...]:
    """Reads the conversation of a row, in which an assistant must speak, led by the row's `system` where it has one.

    Args:
        row: the raw row.
        key: the column of the messages.

    Raises:
        DataError: no list of messages, no assistant's turn, or two system messages that differ.

    Example:
        >>> turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
        >>> [message.role for message in read_conversation({"messages": turns, "system": "Be kind."}, "messages")]
        ['system', 'user', 'assistant']
    """
    messages = with_system(row, read_messages(row.get(key), key))
    if not any(message.role == "assistant" for message in messages):
        raise DataError("no message is 'assistant'; a supervised example must have one to learn from")
    return messages


def with_system(row: dict[str, Any], messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Puts the `system` of a row in front of its messages, where it has one that is not among them.

    Args:
        row: the raw row.
        messages: those of its conversation or prompt.

    Raises:
        DataError: it is no text, or another system message stands among them.

    Example:
        >>> [message.content for message in with_system({"system": "Be kind."}, (Message("user", "hi"),))]
        ['Be kind.', 'hi']
    """
    system = row.get("system")
    if system is None or system == "":
        return messages
    if not isinstance(system, str):
        raise DataError(f"'system' is {kind_of(system)}; it must be a string")
    inside = [message.content for message in messages if message.role == "system"]
    if not inside:
        return (Message("system", system), *messages)
    if inside == [system]:
        return messages
    raise DataError(
        "the row has a 'system' of its own and a system message too; which is meant? "
        "data.ignore=[system] keeps the one among the messages"
    )


def read_messages(value: Any, key: str) -> tuple[Message, ...]:
    """Reads a list of messages, or JSON text of one; each may be OpenAI's or ShareGPT's.

    Args:
        value: of the column.
        key: the column, for errors.

    Raises:
        DataError: an empty list or none, or a message that cannot be read.

    Example:
        >>> [message.content for message in read_messages('[{"role": "user", "content": "hi"}]', "messages")]
        ['hi']
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = parse_json(value)
        except DataError as error:
            raise DataError(f"{key!r} is text that is no list of messages: {error.reason}") from None
    if not isinstance(value, list) or not value:
        raise DataError(f"{key!r} is {kind_of(value)}; it must be a non-empty list of messages")
    return tuple(_message(item, f"{key}[{n}]") for n, item in enumerate(value))


def _message(item: Any, where: str) -> Message:
    shared = isinstance(item, dict) and ("from" in item or "value" in item) and item.get("role") is None
    in_shares = where.startswith("conversations") and not (isinstance(item, dict) and "role" in item)
    return read_turn(item, where) if shared or in_shares else read_message(item, where)
