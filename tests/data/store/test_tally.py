"""Counts of a source's rows."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.data.format.unread import Unread
from tasks.data.render.tokens import Tokens
from tasks.data.store.tally import Remark, Tally


def test_reasons_that_differ_in_numbers_are_one_and_the_first_lines_are_kept():
    tally = Tally()
    for line in range(1, 9):
        tally.drop(f"the row has {line * 100} tokens", line)
    assert tally.dropped == {"the row has N tokens": Remark(count=8, lines=(1, 2, 3, 4, 5))}


def test_formats_losses_notes_and_specials():
    tally = Tally()
    tally.keep(Tokens([1], [0.0], 0, ("lost",), ("note",), specials=("</s>", "</s>"), end="</s>"), "chat", 3)
    assert tally.ends == {"</s>": Remark(count=1, lines=(3,))}
    assert tally.formats == {"chat": Remark(count=1, lines=(3,))}
    assert (tally.lost["lost"].lines, tally.notes["note"].count) == ((3,), 1)
    assert tally.specials["</s>"] == Remark(count=2, lines=(3,)), "each one counts, its line stands once"


def test_reasons_that_quote_their_row_stay_few_and_short():
    tally = Tally()
    for line in range(1, 1001):
        tally.drop(f"the role is {'x' * line}", line)
    whole = Tally()
    whole.add(tally)
    whole.add(tally)
    assert len(whole.dropped) == 33
    assert sum(remark.count for remark in whole.dropped.values()) == 2000
    assert whole.dropped["other"].lines == (33, 34, 35, 36, 37)
    fresh = Tally()
    fresh.drop("y" * 1000, 1)
    assert [len(reason) for reason in fresh.dropped] == [403]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20), st.integers(0, 20))
def test_two_tallies_added_are_one(rows: list[tuple[str, bool]], cut: int):
    def count(numbered: list[tuple[int, tuple[str, bool]]]) -> Tally:
        tally = Tally(rows=len(numbered))
        for line, (text, dropped) in numbered:
            if dropped:
                tally.drop(text, line)
            else:
                tally.keep(Tokens([1], [0.0], notes=(text,)), text, line)
        return tally

    numbered = list(enumerate(rows, start=1))
    first = count(numbered[:cut])
    first.add(count(numbered[cut:]))
    assert first == count(numbered)


def test_columns_that_nothing_reads_are_added_too():
    first, later = Tally(rows=1), Tally(rows=1)
    first.keep(Tokens([1], [0.0], unread=(Unread("id"), Unread("id"))), "chat", 1)
    later.keep(Tokens([1], [0.0], unread=(Unread("id"), Unread("good", "flag", "true"))), "chat", 2)
    first.add(later)
    assert (first.unread["id"].count, first.unread["id"].lines, first.unread["good"].flags) == (2, (1, 2), 1)
