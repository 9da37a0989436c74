"""The table of row formats, and which of them a row is in."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tasks.data.format import alpaca, chat, completions, preference, sharegpt, text
from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Example
from tasks.data.format.weight import row_weight
from tasks.data.source.hints import columns_hint
from tasks.data.source.source import Format
from tasks.errors import DataError

# In the order of detection: a row that has the columns of several is in the first (Alpaca files carry a `text` too).
FORMATS: dict[str, tuple[Callable[[dict[str, Any]], Example], tuple[tuple[str, ...], ...]]] = {
    "preference": (preference.parse, (("chosen", "rejected"),)),
    "chat": (chat.parse, (("messages",),)),
    "sharegpt": (sharegpt.parse, (("conversations",),)),
    "completions": (completions.parse, (("prompt", "completion"), ("question", "answer"))),
    "alpaca": (alpaca.parse, (("instruction", "output"), ("instruction", "response"))),
    "text": (text.parse, (("text",),)),
}


def parse_row(row: Any, format: Format = "auto", columns: Mapping[str, str] | None = None) -> Example:
    """One raw row as an Example.

    Args:
        row: the dict as it was read.
        format: a name of FORMATS, or `auto` to detect it by the row's columns.
        columns: columns under other names, ours to theirs.

    Raises:
        DataError: no format fits, or a value of the row is wrong.

    Example:
        >>> parse_row({"frage": "6 * 7?", "completion": "42"}, columns={"prompt": "frage"}).format
        'completions'
    """
    if not isinstance(row, dict):
        raise DataError(f"the row is {kind_of(row)}; a row is an object such as {{'messages': [...]}}")
    if columns:
        # A column of our name that is not the one meant would shadow it: it goes.
        present = {ours: theirs for ours, theirs in columns.items() if theirs in row}
        rest = {name: value for name, value in row.items() if name not in present and name not in present.values()}
        row = {**rest, **{ours: row[theirs] for ours, theirs in present.items()}}
        if "weight" in columns and "weight" not in present:
            row.pop("weight", None)  # theirs is another thing: a person's weight, say
    example = FORMATS[detect(row) if format == "auto" else format][0](row)
    return replace(example, weight=row_weight(row))


def detect(row: Mapping[str, Any]) -> str:
    """The name of a row's format.

    Example:
        >>> detect({"text": "a"}), detect({"instruction": "a", "output": "b", "text": "c"})
        ('text', 'alpaca')
    """
    for name, (_, alternatives) in FORMATS.items():
        if any(all(key in row for key in names) for names in alternatives):
            return name
    known = "; ".join(" + ".join(names) for _, alternatives in FORMATS.values() for names in alternatives)
    ours = {name for _, alternatives in FORMATS.values() for names in alternatives for name in names}
    hint = columns_hint(row, ours) or "; name other columns in data.columns"
    raise DataError(f"the columns {sorted(row)} are no known format ({known}){hint}")
