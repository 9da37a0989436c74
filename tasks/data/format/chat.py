"""Rows of chat: {"messages": [{"role", "content", ...}, ...], "tools": [...]}, as OpenAI writes them."""

from typing import Any

from tasks.data.format.conversation import read_conversation
from tasks.data.format.message import Example
from tasks.data.format.openai_message import read_tools

NEEDS = (("messages",),)
TAKES = ("system", "tools", "functions")


def parse(row: dict[str, Any]) -> Example:
    """Reads `messages`, and `system` and `tools` beside them.

    Raises:
        DataError: a wrong type, an unknown role, or no assistant's turn.

    Example:
        >>> parse({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}).format
        'chat'
    """
    return Example("chat", messages=read_conversation(row, "messages"), tools=read_tools(row))
