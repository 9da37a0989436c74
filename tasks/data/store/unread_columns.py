"""Columns and message keys that nothing reads: counted over the rows of a source, and refused where they matter."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from pydantic import Field

from tasks.artifact import Record
from tasks.data.format.unread import Unread, is_about_the_row, is_label
from tasks.errors import DataError

_FEW = 10  # different numbers of a label at most
_FIRST_LINES = 5


class UnreadColumn(Record):
    """The counts of one column or key.

    Args:
        count: rows with a value in it.
        lines: the first of them.
        texts: rows in which it is text of some length that is not read elsewhere.
        flags: rows in which it is true or false, or another tool's mask.
        numbers: rows of each number, the first few different ones.
    """

    count: int = 0
    lines: tuple[int, ...] = ()
    texts: int = 0
    flags: int = 0
    numbers: dict[str, int] = Field(default_factory=dict)

    def plus(self, later: "UnreadColumn") -> "UnreadColumn":
        """Adds the counts of the rows that follow.

        Example:
            >>> UnreadColumn(count=1, lines=(3,)).plus(UnreadColumn(count=2, lines=(5, 6))).lines
            (3, 5, 6)
        """
        numbers = dict(self.numbers)
        for number, rows in later.numbers.items():
            if number in numbers or len(numbers) <= _FEW:
                numbers[number] = numbers.get(number, 0) + rows
        return UnreadColumn(
            count=self.count + later.count,
            lines=tuple(dict.fromkeys((*self.lines, *later.lines)))[:_FIRST_LINES],
            texts=self.texts + later.texts,
            flags=self.flags + later.flags,
            numbers=numbers,
        )

    def matters_as(self, name: str) -> str:
        """Names the kind of column where training without it may be a mistake; else an empty string.

        Example:
            >>> UnreadColumn(count=8, texts=8).matters_as("context"), UnreadColumn(count=8, texts=8).matters_as("title")
            ('text', '')
        """
        if self.texts and not is_about_the_row(name):
            return "text"
        if self.flags:
            return "a flag"
        few = 2 <= len(self.numbers) <= _FEW and sum(self.numbers.values()) >= 4 * len(self.numbers)
        label = is_label(name) or (few and not is_about_the_row(name))
        return "a number" if self.numbers and label else ""


class Counted(Protocol):
    """The counts of a source, as far as `refuse_unread` looks at them."""

    rows: int
    formats: dict
    unread: dict[str, UnreadColumn]


def count_unread(found: Iterable[Unread], line: int) -> dict[str, UnreadColumn]:
    """Counts the unread columns and keys of one row; a key of several messages counts once.

    Args:
        found: those of the row.
        line: of the row.

    Example:
        >>> count_unread([Unread("label", "flag", "true"), Unread("id")], 7)["label"].flags
        1
    """
    kinds: dict[str, dict[str, str]] = {}
    for one in found:
        kinds.setdefault(one.name, {})[one.kind] = one.value
    return {
        name: UnreadColumn(
            count=1,
            lines=(line,),
            texts=int("text" in kind),
            flags=int("flag" in kind),
            numbers={kind["number"]: 1} if "number" in kind else {},
        )
        for name, kind in kinds.items()
    }


def refuse_unread(counted: Counted, path: str, ignore: Sequence[str]) -> None:
    """Stops at columns that nothing reads and that seem to matter: text, labels, the flags of other tools.

    Args:
        counted: the counts of the source so far.
        path: the source, for the error.
        ignore: names that the user knows of.

    Raises:
        DataError: there are such columns; all of them, each with its kind and the ways to go on.
    """
    found = {
        name: (column, kind)
        for name, column in counted.unread.items()
        if bare(name) not in ignore and (kind := column.matters_as(name))
    }
    if not found:
        return
    shown = [
        f"nothing reads {_called(name)} ({kind}, {column.count} of {counted.rows} rows): "
        f"{_way(name, kind, counted.formats)}"
        for name, (column, kind) in found.items()
    ]
    names = ",".join(dict.fromkeys(map(bare, found)))
    raise DataError(
        f"{'; '.join(shown)}; or go on without (data.ignore=[{names}], or data.strict=false)",
        path=path,
        line=min(column.lines[0] for column, _ in found.values()),
    )


def bare(name: str) -> str:
    """Gives the name of a column or of a message's key as `data.ignore` takes it.

    Example:
        >>> bare("messages[].note"), bare("context")
        ('note', 'context')
    """
    return name.removeprefix("messages[].")


def _called(name: str) -> str:
    return f"the key {bare(name)!r} of messages" if name != bare(name) else f"the column {name!r}"


def _way(name: str, kind: str, formats: Iterable[str]) -> str:
    """How the column could be used."""
    if name != bare(name):
        what = 'a message says whether it is trained on by "train" and "weight"'
        return "write it into the content of its message" if kind == "text" else what
    if kind == "text":
        if "system" in name.lower() or "persona" in name.lower():
            return f"use it (data.columns={{system: {name}}})"
        return f"use it (data.columns={{input: {name}}})" if "alpaca" in formats else "write it into what is read"
    if kind == "a number":
        return f"use it as the weight of each row (data.columns={{weight: {name}}})"
    return "leave out the rows that it marks"
