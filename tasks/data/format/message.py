"""Message and Example: a parsed row of any format, before a template renders it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.data.format.unread import Unread

ROLES = ("system", "developer", "user", "assistant", "tool")
"""The roles that a message can have."""

SPEAKERS = ("template", "text", "system", "user", "assistant", "tool")
"""Whose words a token belongs to, by the byte that stands for it: `template` is what the template writes around the
messages, `text` a row of plain text; a developer's words count as the system's."""

Span = tuple[int, int, float]
"""First character or token, one past the last, and the weight of those between as targets."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Args:
        role: one of ROLES.
        content: its text; parts are joined already, a missing content is empty.
        reasoning: the reasoning of an assistant turn kept apart from its content.
        tool_calls: OpenAI's form, `{"type": "function", "function": {"name": ..., "arguments": {...}}}`.
        weight: what the row itself asked for, by `weight` or by `train` (1 or 0); None where it asked for nothing.
        spans: the parts of `content` that are targets, in characters, where the row names them; None for all of it.
        extra: other keys, given to the template as they are (`name`, `tool_call_id`, ...).
        unread: keys that were left out, since neither a format nor a template reads them.

    Example:
        >>> Message("user", "hi").as_template_input()
        {'role': 'user', 'content': 'hi'}
    """

    role: str
    content: str = ""
    reasoning: str | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()
    weight: float | None = None
    spans: tuple[Span, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    unread: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def as_template_input(self, *, arguments_as_text: bool = False) -> dict[str, Any]:
        """Makes the dict that a chat template reads; absent keys are left out, since templates test for presence.

        Args:
            arguments_as_text: whether the arguments of a tool call are JSON in a string, as in OpenAI's interface.
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
    """One row, parsed: a conversation, plain text, or token ids.

    Args:
        format: the name of the row's format.
        messages: the conversation; empty for plain text and token ids.
        text: plain text; None for a conversation.
        spans: the parts of `text` that are targets, in characters; None for all of it.
        ids: token ids that were made elsewhere; empty for the others.
        id_weights: of each of `ids` as a target.
        tools: the functions that the conversation may call, as JSON schemas.
        answer_from: the index of the first message of a prompt/completion row's completion; None elsewhere.
        rejected: the turns that a preference row prefers less than `messages[answer_from:]`.
        weight: what the row asks for itself: the weights of all its targets are multiplied by it.
        unread: the columns and message keys that nothing reads.
    """

    format: str
    messages: tuple[Message, ...] = ()
    text: str | None = None
    spans: tuple[Span, ...] | None = None
    ids: tuple[int, ...] = ()
    id_weights: tuple[float, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    answer_from: int | None = None
    rejected: tuple[Message, ...] = ()
    weight: float = 1.0
    unread: tuple[Unread, ...] = ()
