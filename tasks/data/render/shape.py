"""What a chat template writes around any message: the assistant's header, and what ends a turn.

Both are learned by rendering a probe conversation, never from a list of model families.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.errors import DataError

if TYPE_CHECKING:
    from tasks.data.render.template import Template

_ASKS, _ANSWERS = ("qzaskone", "qzasktwo"), ("qzanswerone", "qzanswertwo")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a template writes around an assistant's answer.

    Args:
        header: what stands before each assistant turn, "" where nothing of its own does.
        enders: the tokens that end one, in the middle of a conversation and at its end; empty where nothing does.
        closers: the special tokens that may follow an ender directly and close the turn too: the tokenizer's eos, and
            whatever else stands so at the end of a conversation.
    """

    header: str
    enders: tuple[str, ...]
    closers: tuple[str, ...] = ()


def probe_shape(template: "Template") -> Shape:
    """What a template writes around an answer, by rendering a conversation of words that stand nowhere else.

    Args:
        template: any; one that refuses the conversation, or turns it around, has the empty shape.
    """
    turns: list[dict[str, Any]] = []
    for ask, answer in zip(_ASKS, _ANSWERS, strict=True):
        turns += [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]
    try:
        text = template.render(turns)
        before, prompt = template.render(turns[:1]), template.render(turns[:1], prompt=True)
    except DataError:
        return Shape("", ())
    places = [text.find(word) for pair in zip(_ASKS, _ANSWERS, strict=True) for word in pair]
    if -1 in places or places != sorted(places):
        return Shape("", ())
    lead_ins = (text[places[0] + len(_ASKS[0]) : places[1]], text[places[2] + len(_ASKS[1]) : places[3]])
    middle, end = text[places[1] + len(_ANSWERS[0]) : places[2]], text[places[3] + len(_ANSWERS[1]) :]
    added = prompt[_shared(before, prompt, template.special_pattern) :]
    special, eos = template.special_pattern, getattr(template.tokenizer, "eos_token", None)
    # A template that always writes the next header has no generation prompt: its header stands before each answer.
    openers = {
        *special.findall(added),
        *(token for lead in lead_ins for token in special.findall(lead)[-1:] if not added),
    }
    closers = [token for token in _run(special, end)[1:] if token not in openers]
    return Shape(
        _header(added, middle, lead_ins),
        _enders(special, middle, end),
        tuple(dict.fromkeys([*closers, *([eos] if eos else [])])),
    )


def _run(special: re.Pattern[str], text: str) -> list[str]:
    """The first special token of a text and those that follow it directly; none where words come after.

    Example:
        >>> _run(re.compile("<a>|<b>"), "x<a><b> <a>"), _run(re.compile("<a>|<b>"), "x<a><b>y")
        (['<a>', '<b>'], [])
    """
    run, rest = list[str](), ""
    match = special.search(text)
    while match:
        run.append(match.group())
        rest = text[match.end() :]
        match = special.match(text, match.end())
    return [] if special.sub("", rest).strip() else run


def _shared(before: str, prompt: str, special: re.Pattern[str]) -> int:
    """How many characters two renders share, not counting a part of a special token."""
    shared = next((n for n, (a, b) in enumerate(zip(before, prompt, strict=False)) if a != b), len(before))
    if shared == len(before):
        return shared
    inside = [m.start() for text in (before, prompt) for m in special.finditer(text) if m.start() < shared < m.end()]
    return min(inside, default=shared)


def _header(added: str, middle: str, lead_ins: tuple[str, ...]) -> str:
    """The part of the generation prompt that is a header, not the beginning of an answer.

    A generation prompt may go on beyond the header, with an empty or an open think block. The header is what has the
    same end as a user's header (`<|im_start|>user\\n` and `<|im_start|>assistant\\n<think>\\n`: up to the first
    newline), and what the template also writes before the answers of a rendered conversation.
    """
    shared = next(n for n in range(len(added), -1, -1) if added[:n] in middle)
    theirs = middle[middle.rfind(added[:shared]) + shared :]
    ours = added[shared:]
    tail = next((theirs[n:] for n in range(len(theirs)) if theirs[n:] in ours), "")
    header = added[: shared + ours.find(tail) + len(tail)] if tail else added
    while header and not all(header in lead_in for lead_in in lead_ins):
        header = header[:-1]
    return header if header.strip() else ""


def _enders(special: re.Pattern[str], middle: str, end: str) -> tuple[str, ...]:
    found = [match.group() for text in (middle, end) if (match := special.search(text))]
    if not found and end.strip():
        # No special token ends a turn: then the words that stand after each answer do.
        shared = next(n for n in range(min(len(middle), len(end)), -1, -1) if middle[:n] == end[:n])
        found = [(end[:shared] or end).rstrip() or end.rstrip()]
    return tuple(dict.fromkeys(filter(None, found)))
