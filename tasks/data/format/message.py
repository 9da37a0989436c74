"""Message and Example: what a row of any format becomes before a template sees it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool")
# Whose words a token holds, a byte each: `template` is what the template writes around the messages, `text` a row of
# plain text; a developer's words count as the system's.
SPEAKERS = ("template", "text", "system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Args:
        role: one of ROLES.
        content: its text; parts are joined already, a missing content is empty.
        reasoning: the reasoning of an assistant turn kept apart from its content.
        tool_calls: OpenAI's form, `{"type": "function", "function": {"name": ..., "arguments": {...}}}`.
        weight: what the row itself asked for, by `weight` or by `train` (1 or 0); None where it asked for nothing.
        extra: other keys, given to the template as they are (`name`, `tool_call_id`, ...).

    Example:
        >>> Message("user", "hi").as_template_input()
        {'role': 'user', 'content': 'hi'}
    """

    role: str
    content: str = ""
    reasoning: str | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()
    weight: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_template_input(self, *, arguments_as_text: bool = False) -> dict[str, Any]:
        """The dict a chat template reads; absent keys are left out, since templates test for their presence.

        With `arguments_as_text` the arguments of a tool call are JSON in a string, as OpenAI's interface has them.
        """
        out: dict[str, Any] = {"role": self.role, "content": self.content, **self.extra}
        if self.reasoning is not None:
            out["reasoning_content"] = self.reasoning
        if self.tool_calls:
            out["tool_calls"] = (
                [_as_text(call) for call in self.tool_calls] if arguments_as_text else [*self.tool_calls]
            )
        return out


def _as_text(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {**call, "function": {**function, "arguments": json.dumps(function["arguments"], ensure_ascii=False)}}


@dataclass(frozen=True, slots=True)
class Example:
    """One row, parsed: a conversation, or plain text.

    Args:
        format: the name of the row's format.
        messages: the conversation; empty for plain text.
        text: plain text; None for a conversation.
        tools: the functions that the conversation may call, as JSON schemas.
        answer_from: the index of the first message of a prompt/completion row's completion; None elsewhere.
        rejected: the turns a preference row prefers less than `messages[answer_from:]`.
        weight: what the row asks for itself: the weights of all its targets are multiplied by it.
    """

    format: str
    messages: tuple[Message, ...] = ()
    text: str | None = None
    tools: tuple[dict[str, Any], ...] = ()
    answer_from: int | None = None
    rejected: tuple[Message, ...] = ()
    weight: float = 1.0
