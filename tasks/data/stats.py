"""What a split holds and what was done to its rows, counted while it is tokenized."""

import re
from dataclasses import dataclass, field

from pydantic import Field

from tasks.artifact import Record
from tasks.data.tokens import Tokens

_FIRST_LINES = 5


class Remark(Record):
    """How often something was said of a row, and the first lines it was said of."""

    count: int
    lines: tuple[int, ...]


class SplitStats(Record):
    """The counts of one split.

    Args:
        rows: rows read from the source; 0 for a held-out split, whose rows are counted in train.
        examples: what is trained on.
        dropped: rows left out, by reason (numbers in it written N).
        lost: rows of which the chat template left something out.
        notes: what else is worth knowing about rows.
        tokens: real ones.
        supervised_tokens: those with a weight above 0.
        longest: the tokens of the longest example.
        formats: rows of each format.
        duplicates: examples that repeat an earlier one.
        overlap: examples of this split that also stand in train.
    """

    rows: int
    examples: int
    tokens: int
    supervised_tokens: int
    longest: int
    duplicates: int = 0
    overlap: int = 0
    formats: dict[str, int] = Field(default_factory=dict)
    dropped: dict[str, Remark] = Field(default_factory=dict)
    lost: dict[str, Remark] = Field(default_factory=dict)
    notes: dict[str, Remark] = Field(default_factory=dict)


@dataclass
class Tally:
    """The counts of a source while it is read."""

    rows: int = 0
    formats: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, Remark] = field(default_factory=dict)
    lost: dict[str, Remark] = field(default_factory=dict)
    notes: dict[str, Remark] = field(default_factory=dict)

    def drop(self, reason: str, line: int) -> None:
        """Counts a row left out."""
        _remark(self.dropped, re.sub(r"\d+", "N", reason), line)

    def keep(self, tokens: Tokens, format: str, line: int) -> None:
        """Counts a row that becomes an example, and what was said of it."""
        self.formats[format] = self.formats.get(format, 0) + 1
        for lost in tokens.lost:
            _remark(self.lost, lost, line)
        for note in tokens.notes:
            _remark(self.notes, note, line)


def _remark(remarks: dict[str, Remark], text: str, line: int) -> None:
    old = remarks.get(text, Remark(count=0, lines=()))
    lines = old.lines if len(old.lines) == _FIRST_LINES else (*old.lines, line)
    remarks[text] = Remark(count=old.count + 1, lines=lines)
