"""Rows of ShareGPT: {"conversations": [{"from", "value"}, ...], "system", "tools"}."""

from typing import Any

from tasks.data.format.conversation import read_conversation
from tasks.data.format.message import Example
from tasks.data.format.openai_message import read_tools

NEEDS = (("conversations",),)
TAKES = ("system", "tools", "functions")


def parse(row: dict[str, Any]) -> Example:
    """Reads `conversations`, whose turns may also be OpenAI's messages.

    Raises:
        DataError: a wrong type, an unknown sender, or no assistant's turn.

    Example:
        >>> turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]
        >>> [m.role for m in parse({"conversations": turns}).messages]
        ['user', 'assistant']
    """
    return Example("sharegpt", messages=read_conversation(row, "conversations"), tools=read_tools(row))
