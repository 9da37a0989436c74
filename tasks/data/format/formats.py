"""The table of row formats, and the detection of a row's format."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from tasks.data.format import alpaca, chat, completions, preference, pretokenized, sharegpt, text
from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Example
from tasks.data.format.row import Row, filled
from tasks.data.format.unread import Unread, describe_unread
from tasks.data.format.weight import row_weight
from tasks.data.source.hints import columns_hint
from tasks.errors import DataError


class RowFormat(Protocol):
    """A file of this room that reads rows of one format, whose name is the file's.

    Attributes:
        NEEDS: the columns by which it is detected, in alternatives.
        TAKES: further columns that it reads where they are there.
    """

    NEEDS: tuple[tuple[str, ...], ...]
    TAKES: tuple[str, ...]

    def parse(self, row: dict[str, Any]) -> Example:
        """Reads a row."""
        ...


# In the order of detection: a row that has the columns of several is in the first (Alpaca files carry a `text` too).
_FILES = (preference, pretokenized, chat, sharegpt, completions, alpaca, text)
FORMATS: dict[str, RowFormat] = {file.__name__.rpartition(".")[2]: cast(RowFormat, file) for file in _FILES}

LABELS = ("label", "kto_tag", "desirable")
"""Columns in which sets for KTO say of each answer whether it is one to give."""

_UNWANTED = {"false", "0", "0.0", "-1", "no", "bad", "reject", "rejected", "undesirable", "unwanted", "dispreferred"}
_WANTED = {"true", "1", "1.0", "yes", "good", "accept", "accepted", "chosen", "desirable", "wanted", "preferred"}

COLUMNS = {name for kind in FORMATS.values() for names in (*kind.NEEDS, kind.TAKES) for name in names} | {"weight"}
"""Every column that a format reads."""

if TYPE_CHECKING:
    Format = str
else:
    Format = Literal["auto", *FORMATS]


def parse_row(
    row: Any, format: Format = "auto", columns: Mapping[str, str] | None = None, ignore: Sequence[str] = ()
) -> Example:
    """Reads one raw row.

    Args:
        row: the dict as it was read.
        format: a name of FORMATS, or `auto` to detect it by what the row's columns hold.
        columns: columns under other names, ours to theirs.
        ignore: columns, and keys of messages, that are not to be read.

    Raises:
        DataError: no format fits, a value of the row is wrong, or the row is labelled as an answer not to give.

    Example:
        >>> parse_row({"frage": "6 * 7?", "completion": "42"}, columns={"prompt": "frage"}).format
        'completions'
        >>> [unread.name for unread in parse_row({"text": "Once upon a time", "url": "a.org"}).unread]
        ['url']
    """
    if not isinstance(row, dict):
        raise DataError(f"the row is {kind_of(row)}; a row is an object such as {{'messages': [...]}}")
    left_out = {name: row[name] for name in ignore if name in row}
    kept = {name: _without(value, ignore) for name, value in row.items() if name not in left_out}
    named = _renamed(kept, columns or {})
    read = Row(named)
    example = FORMATS[detect(named) if format == "auto" else format].parse(read)
    example = replace(example, weight=row_weight(read))
    _refuse_unwanted(read, example)
    asked = {(columns or {}).get(name, name): name for name in read.asked if name in named}
    theirs = {name if name in row else ours for name, ours in asked.items()}
    unread = [(name, value) for name, value in row.items() if filled(value) and name not in theirs]
    unread += _ignored_keys(row, left_out, ignore)
    return replace(example, unread=tuple(_described(example, unread)))


def detect(row: Mapping[str, Any]) -> str:
    """Names a row's format by the columns that are filled; where those fit none, by the columns that are there.

    Raises:
        DataError: the row has the columns of no format.

    Example:
        >>> detect({"text": "a"}), detect({"instruction": "a", "output": "b", "text": "c"})
        ('text', 'alpaca')
        >>> detect({"messages": None, "prompt": "a", "completion": "b"})
        'completions'
    """
    says = {name for name, value in row.items() if filled(value)}
    there = [(name, names) for name, kind in FORMATS.items() for names in kind.NEEDS if set(names) <= set(row)]
    for found in (
        [name for name, names in there if set(names) <= says],
        [name for name, names in there if set(names) & says],
        [name for name, _ in there],
    ):
        if found:
            return found[0]
    known = "; ".join(" + ".join(names) for kind in FORMATS.values() for names in kind.NEEDS)
    ours = {name for kind in FORMATS.values() for names in kind.NEEDS for name in names}
    hint = columns_hint(row, ours) or "; name other columns in data.columns"
    raise DataError(f"the columns {sorted(row)} are no known format ({known}){hint}")


def _renamed(row: dict[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """The row under our names. A column of our name that is not the one meant would shadow it: it goes."""
    present = {ours: theirs for ours, theirs in columns.items() if theirs in row}
    rest = {name: value for name, value in row.items() if name not in present and name not in present.values()}
    if "weight" in columns and "weight" not in present:
        rest.pop("weight", None)  # theirs is another thing: a person's weight, say
    return {**rest, **{ours: row[theirs] for ours, theirs in present.items()}}


def _refuse_unwanted(row: Row, example: Example) -> None:
    """Refuses an answer that the row marks as one not to give, as sets for KTO do for half of theirs."""
    answers = {message.content.strip().lower() for message in example.messages if message.role == "assistant"}
    for name in LABELS if answers else ():
        label = dict.get(row, name)
        mark = str(label).strip().lower() if isinstance(label, str | int | float) else ""
        # A word that is the answer itself is the class that a classifier gives.
        if mark not in _UNWANTED | _WANTED or (isinstance(label, str) and mark in answers):
            continue
        row.asked.add(name)
        if mark in _UNWANTED:
            raise DataError(
                f"the row's {name} is {mark}: an answer not to give, as in sets for KTO; "
                f"data.ignore=[{name}] trains on it all the same"
            )


def _without(value: Any, ignore: Sequence[str]) -> Any:
    """A list of messages without the keys to be ignored; any other value as it is."""
    if not ignore or not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return value
    return [{key: inner for key, inner in item.items() if key not in ignore} for item in value]


def _ignored_keys(row: dict[str, Any], left_out: dict[str, Any], ignore: Sequence[str]) -> list[tuple[str, Any]]:
    lists = [value for name, value in row.items() if name not in left_out and isinstance(value, list)] if ignore else []
    messages = [item for value in lists for item in value if isinstance(item, dict)]
    return [(f"messages[].{key}", item[key]) for item in messages for key in ignore if filled(item.get(key))]


def _described(example: Example, columns: list[tuple[str, Any]]) -> Iterator[Unread]:
    keys = [(f"messages[].{key}", value) for message in example.messages for key, value in message.unread.items()]
    if not columns and not any(filled(value) for _, value in keys):
        return
    texts = [text for message in example.messages for text in (message.content, message.reasoning or "")]
    read = [*texts, example.text or ""]
    answered = bool(example.messages)
    for name, value in (*columns, *((name, value) for name, value in keys if filled(value))):
        found = describe_unread(name, value, read)
        yield found if answered or found.kind != "number" else Unread(name)
