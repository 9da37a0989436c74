"""The table of row formats, and which of them a row is in."""

from collections.abc import Callable, Mapping
from typing import Any

from tasks.data import alpaca, chat, completions, preference, sharegpt, text
from tasks.data.config import Format
from tasks.data.message import Example
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


def parse_row(row: Any, format: Format = "auto", keys: Mapping[str, str] | None = None) -> Example:
    """One raw row as an Example.

    Args:
        row: the dict as it was read.
        format: a name of FORMATS, or `auto` to detect it by the row's columns.
        keys: columns under other names, ours to theirs.

    Raises:
        DataError: no format fits, or a value of the row is wrong.

    Example:
        >>> parse_row({"frage": "6 * 7?", "completion": "42"}, keys={"prompt": "frage"}).format
        'completions'
    """
    if not isinstance(row, dict):
        raise DataError(f"the row is a {type(row).__name__}; a row is an object such as {{'messages': [...]}}")
    if keys:
        renamed = {theirs: ours for ours, theirs in keys.items()}
        row = {renamed.get(name, name): value for name, value in row.items()}
    return FORMATS[detect(row) if format == "auto" else format][0](row)


def detect(row: Mapping[str, Any]) -> str:
    """The name of a row's format.

    Example:
        >>> detect({"text": "a"}), detect({"instruction": "a", "output": "b", "text": "c"})
        ('text', 'alpaca')
    """
    for name, (_, alternatives) in FORMATS.items():
        if any(all(key in row for key in columns) for columns in alternatives):
            return name
    known = "; ".join(" + ".join(columns) for _, alternatives in FORMATS.values() for columns in alternatives)
    raise DataError(f"the columns {sorted(row)} are no known format ({known}); name other columns in data.keys")
