"""Counts of what was said of rows."""

from tasks.data.stats import Remark, Tally
from tasks.data.tokens import Tokens


def test_reasons_that_differ_in_numbers_are_one_and_the_first_lines_are_kept():
    tally = Tally()
    for line in range(1, 9):
        tally.drop(f"the row has {line * 100} tokens", line)
    assert tally.dropped == {"the row has N tokens": Remark(count=8, lines=(1, 2, 3, 4, 5))}


def test_formats_losses_and_notes():
    tally = Tally()
    tally.keep(Tokens([1], [0.0], 0, ("lost",), ("note",)), "chat", 3)
    assert (tally.formats, tally.lost["lost"].lines, tally.notes["note"].count) == ({"chat": 1}, (3,), 1)
