"""A column or message key that nothing reads: what it says, and whether training without it may be a mistake."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "flag", "number", "other"]
"""`text`: of some length, and not a repetition of what is read; `flag`: true or false, or another tool's mask;
`number`; anything else."""

_ABOUT = re.compile(
    "ids?|uuid|idx|index|no|nr|n|num|numbers?|count|len|length|size|tokens|turns|line|row|page|date|time|timestamp"
    "|created|updated|year|version|seed|step|split|source|ur[li]|link|title|name|model|dataset|license|author|path"
    "|file|filename|repo|hash|lang|language|category|topic|tags|domain|subset"
)
_LABEL = re.compile(
    "labels?|scores?|ratings?|rewards?|rank|ranking|quality|preference|preferred|class|target|grade|helpful"
    "|helpfulness|toxic|toxicity|safe|correct|correctness|votes?|feedback|desirable|mask|weights?"
)
_CONTENT = re.compile(
    "context|passages?|documents?|system|persona|prompt|instructions?|history|reasoning|thinking|thoughts?|rationale|cot"
)
_TRAINS = re.compile("masks?|loss|losses|train|trained|training|trainable|supervised?|learn")
_WORDS, _LETTERS = 4, 20  # a text of fewer is a name, a topic, a category


@dataclass(frozen=True, slots=True)
class Unread:
    """One value that nothing reads.

    Args:
        name: the column, or `messages[].key` for a key of a message.
        kind: what sort of value it is.
        value: a flag or number as text; empty for the other kinds.
    """

    name: str
    kind: Kind = "other"
    value: str = ""


def describe_unread(name: str, value: Any, read: Iterable[str]) -> Unread:
    """Describes a value that nothing reads.

    Args:
        name: the column, or `messages[].key`.
        value: of the row.
        read: the texts of the row that are read; a text that repeats one of them, or all, adds nothing.

    Example:
        >>> describe_unread("context", "The bridge at mile 1 opened in 1901.", ["When?", "1901"])
        Unread(name='context', kind='text', value='')
        >>> describe_unread("label", False, []).value, describe_unread("id", "a1", []).kind
        ('false', 'other')
    """
    plain = value.strip().lower() if isinstance(value, str) else value
    if isinstance(value, bool) or plain in ("true", "false"):
        return Unread(name, "flag", str(plain).lower())
    trains = re.compile(f"{_TRAINS.pattern}|weights?") if isinstance(value, list | tuple) else _TRAINS
    if not isinstance(value, str) and any(map(trains.fullmatch, _words(name))):
        return Unread(name, "flag")  # a list of what another tool trains on, a number for it
    if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", plain)):
        return Unread(name, "number", f"{value!s:.20}")
    named = any(map(_CONTENT.fullmatch, _words(name)))
    texts = [text for text in texts_of(value) if _is_long(text) or (named and text.strip())]
    return Unread(name, "text" if texts and _adds(texts, [text for text in read if text.strip()]) else "other")


def is_about_the_row(name: str) -> bool:
    """Recognises the name of a column that describes its row rather than belongs to it: an id, a source, a title.

    Example:
        >>> is_about_the_row("conversation_id"), is_about_the_row("context")
        (True, False)
    """
    return any(_ABOUT.fullmatch(word) for word in _words(name)[-1:])


def is_label(name: str) -> bool:
    """Recognises the name of a column that judges its row: a label, a score, a mask.

    Example:
        >>> is_label("quality_score"), is_label("year")
        (True, False)
    """
    return any(_LABEL.fullmatch(word) for word in _words(name))


def texts_of(value: Any) -> Iterator[str]:
    """Yields the texts in a value: itself, those in a list, the contents of messages; no other key of an object.

    Example:
        >>> list(texts_of(["a", {"role": "user", "content": "b"}, {"source": "c"}]))
        ['a', 'b']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, dict):
        yield from (text for key in ("content", "value", "text") for text in texts_of(value.get(key)))


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.rpartition(".")[2]).lower())


def _is_long(text: str) -> bool:
    # Scripts without spaces have a word in about two characters.
    wide = sum(char > "\u2e80" for char in text[:200])
    return wide >= 2 * _WORDS or (len(text) >= _LETTERS and len(text[:1000].split()) >= _WORDS)


def _adds(texts: list[str], read: list[str]) -> bool:
    """Whether a text is new: neither a part of one that is read, nor all of those written together."""
    return any(
        not any(text.strip() in other for other in read) and not (read and all(other.strip() in text for other in read))
        for text in texts
    )
