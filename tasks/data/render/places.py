"""Where a template puts each message, proven: the same conversation rendered once more with marks inside its contents.

The marks are private-use characters that stand nowhere else. If the marked render, with the marks taken out again, is
the plain render to the letter, then the template treated every content as opaque, and where a mark stands is where
that end of that content stands in the plain render.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Messages = list[dict[str, Any]]

# Each range has room for one conversation's marks; the first of them with no character in the text is used.
_RANGES = ((0xF0000, 0xFFFFD), (0x100000, 0x10FFFD), (0xE000, 0xF8FF))
# How a message is marked, the fullest way first: at which edges of its texts, and whether in its tool calls.
Mode = tuple[str, ...]
_MODES: tuple[Mode, ...] = (("start", "end", "calls"), ("start", "end"), ("end",), ("start",))
_FIRST = ("tool call", "reasoning")  # parts of which a template may write another copy elsewhere; the first counts


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands in a render, by the marks that survived.

    Args:
        start: the first character of its content or reasoning or call; None where no mark of it was found.
        stop: one past the last one.
        lost: the parts that the template left out: `content`, `reasoning`, `tool call`, or `start of content`.
        repeated: whether its content or an argument of its calls stands in the render more than once. A call's name
            may, as some templates write it again before the tool's answer: the first is the call's own.
        rewritten: whether its content stands there in other words.
        known: whether the message could be marked at all: an empty one, or one the template looks into, cannot.
    """

    start: int | None = None
    stop: int | None = None
    lost: tuple[str, ...] = ()
    repeated: bool = False
    rewritten: bool = False
    known: bool = False


def locate(messages: Messages, text: str, render: Callable[[Messages], str]) -> list[Place]:
    """The place of every message in `text`, which is `render(messages)`.

    Args:
        messages: the dicts given to the template.
        text: their plain render.
        render: the template; called once, and a few times more where it looks into the contents.

    Example:
        >>> shout = lambda messages: "".join(f"<{m['role']}>{m['content'].strip()}\\n" for m in messages)
        >>> chat = [{"role": "user", "content": " hi "}, {"role": "assistant", "content": "ho"}]
        >>> [(place.start, place.stop) for place in locate(chat, shout(chat), shout)]
        [(6, 8), (20, 22)]
    """
    span = next((r for r in _RANGES if not re.search(f"[{chr(r[0])}-{chr(r[1])}]", text)), None)
    if span is None:
        return [Place()] * len(messages)
    if (places := _try(messages, [_MODES[0]] * len(messages), text, render, span)) is not None:
        return places
    # Some message is one that the template looks into (it begins with a tag, say): mark each as far as it bears it.
    modes: list[Mode] = [()] * len(messages)
    for n in range(len(messages)):
        for mode in _MODES:
            attempt = [*modes[:n], mode, *modes[n + 1 :]]
            if _try(messages, attempt, text, render, span) is not None:
                modes = attempt
                break
    return _try(messages, modes, text, render, span) or [Place()] * len(messages)


class _Pen:
    """Puts marks into strings and remembers what each stands for."""

    def __init__(self, span: tuple[int, int]):
        self.span, self.meaning = span, dict[str, tuple[int, str, str]]()

    def mark(self, text: str, index: int, part: str, mode: Mode) -> str:
        core = text.strip()
        if not core:
            return text  # a mark would make a blank text filled, and templates test for that
        lead = text[: len(text) - len(text.lstrip())]
        trail = text[len(text.rstrip()) :]
        return lead + self._new(index, part, "start", mode) + core + self._new(index, part, "end", mode) + trail

    def _new(self, index: int, part: str, edge: str, mode: Mode) -> str:
        code = self.span[0] + len(self.meaning)
        if edge not in mode or code > self.span[1]:
            return ""
        self.meaning[chr(code)] = (index, part, edge)
        return chr(code)

    def leaves(self, value: Any, index: int, mode: Mode) -> Any:
        if isinstance(value, str):
            return self.mark(value, index, "argument", mode)
        if isinstance(value, list):
            return [self.leaves(item, index, mode) for item in value]
        if isinstance(value, dict):
            return {key: self.leaves(item, index, mode) for key, item in value.items()}
        return value


def _try(
    messages: Messages,
    modes: list[Mode],
    text: str,
    render: Callable[[Messages], str],
    span: tuple[int, int],
) -> list[Place] | None:
    pen = _Pen(span)
    marked_messages = [_marked(pen, n, message, modes[n]) for n, message in enumerate(messages)]
    try:
        marked = render(marked_messages)
    except Exception:  # the template looked at a mark and refused it; another way of marking may do
        return None
    if marked.translate(dict.fromkeys(map(ord, pen.meaning))) != text:
        return None
    found: dict[str, list[int]] = {mark: [] for mark in pen.meaning}
    for count, match in enumerate(re.finditer(f"[{chr(span[0])}-{chr(span[1])}]", marked)):
        found[match.group()].append(match.start() - count)
    own: list[dict[str, tuple[int, str, str]]] = [{} for _ in messages]
    for mark, meaning in pen.meaning.items():
        own[meaning[0]][mark] = meaning
    return [_place(mine, found, text, message["content"].strip()) for mine, message in zip(own, messages, strict=True)]


def _marked(pen: _Pen, index: int, message: dict[str, Any], mode: Mode) -> dict[str, Any]:
    out = dict(message)
    if "reasoning_content" in message:
        out["reasoning_content"] = pen.mark(message["reasoning_content"], index, "reasoning", mode)
    out["content"] = pen.mark(message["content"], index, "content", mode)
    if "tool_calls" in message and "calls" in mode:
        out["tool_calls"] = [
            {
                **call,
                "function": {
                    **call["function"],
                    "name": pen.mark(call["function"]["name"], index, "tool call", mode),
                    "arguments": pen.leaves(call["function"]["arguments"], index, mode),
                },
            }
            for call in message["tool_calls"]
        ]
    return out


def _place(mine: dict[str, tuple[int, str, str]], found: dict[str, list[int]], text: str, content: str) -> Place:
    spots = [spot for mark, (_, part, _) in mine.items() for spot in found[mark][: 1 if part in _FIRST else None]]
    parts = dict.fromkeys(part for _, part, _ in mine.values())
    lost = [part for part in parts if not any(found[m] for m, meaning in mine.items() if meaning[1] == part)]
    kept = [mark for mark, (_, part, _) in mine.items() if part not in lost]
    lost += ["start of content" for mark in kept if mine[mark][1:] == ("content", "start") and not found[mark]]
    repeated = any(len(found[mark]) > 1 for mark, (_, part, _) in mine.items() if part not in _FIRST)
    if not spots:
        return Place(lost=tuple(lost), known=bool(mine))
    edges = [found[mark] for mark in mine if mine[mark][1] == "content"]
    exact = len(edges) != 2 or any(len(at) != 1 for at in edges) or text[edges[0][0] : edges[1][0]] == content
    return Place(min(spots), max(spots), tuple(lost), repeated, not exact, True)
