"""Counts of a source's rows while they are tokenized: formats, rows left out, remarks, columns that nothing reads."""

import re
from dataclasses import dataclass, field, fields

from tasks.artifact import Record
from tasks.data.render.tokens import Tokens
from tasks.data.store.unread_columns import UnreadColumn, count_unread

FIRST_LINES = 5
"""The most lines that are kept of a remark."""

_MOST, _LONGEST = 32, 400  # remarks of a kind, and characters of one


class Remark(Record):
    """How often something was remarked about a row, and the first lines that it was remarked about."""

    count: int = 0
    lines: tuple[int, ...] = ()

    def plus(self, count: int, lines: tuple[int, ...]) -> "Remark":
        """Adds to the count, and to the first lines.

        Args:
            count: rows more.
            lines: the first of them.

        Example:
            >>> Remark(count=1, lines=(3,)).plus(2, (5, 6)).lines
            (3, 5, 6)
        """
        return Remark(count=self.count + count, lines=tuple(dict.fromkeys((*self.lines, *lines)))[:FIRST_LINES])


@dataclass
class Tally:
    """What was found about the rows of a source, counted while it is read."""

    rows: int = 0
    formats: dict[str, Remark] = field(default_factory=dict)
    dropped: dict[str, Remark] = field(default_factory=dict)
    lost: dict[str, Remark] = field(default_factory=dict)
    notes: dict[str, Remark] = field(default_factory=dict)
    specials: dict[str, Remark] = field(default_factory=dict)
    unread: dict[str, UnreadColumn] = field(default_factory=dict)
    ends: dict[str, Remark] = field(default_factory=dict)

    def drop(self, reason: str, line: int) -> None:
        """Counts a row that is left out.

        Args:
            reason: why; numbers in it are counted together.
            line: of the row.
        """
        _say(self.dropped, re.sub(r"(?<![\w-])\d+(?!\w)", "N", reason), 1, line)

    def keep(self, tokens: Tokens, format: str, line: int) -> None:
        """Counts a row that becomes an example, and the remarks on it.

        Args:
            tokens: of the row.
            format: its format.
            line: of the row.
        """
        _say(self.formats, format, 1, line)
        if tokens.end:
            _say(self.ends, tokens.end, 1, line)
        for where, said in ((self.lost, tokens.lost), (self.notes, tokens.notes), (self.specials, tokens.specials)):
            for text in said:
                _say(where, text, 1, line)
        self._count_unread(count_unread(tokens.unread, line))

    def add(self, later: "Tally") -> None:
        """Adds the counts of the rows that follow."""
        self.rows += later.rows
        for name in (item.name for item in fields(self) if item.name not in ("rows", "unread")):
            remarks = getattr(self, name)
            for text, remark in getattr(later, name).items():
                _say(remarks, text, remark.count, *remark.lines)
        self._count_unread(later.unread)

    def _count_unread(self, columns: dict[str, UnreadColumn]) -> None:
        for name, column in columns.items():
            name = name if name in self.unread or len(self.unread) < _MOST else "other"
            self.unread[name] = self.unread.get(name, UnreadColumn()).plus(column)


def _say(remarks: dict[str, Remark], text: str, count: int, *lines: int) -> None:
    """Adds a remark. A reason may quote the row, so there can be as many reasons as rows: of those, the first ones."""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    text = text if text in remarks or len(remarks) < _MOST else "other"
    remarks[text] = remarks.get(text, Remark()).plus(count, lines)
