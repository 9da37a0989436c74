"""Mixtures: the shares come out as asked, and what is left out or repeated is counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.store.columns import DIGEST, START, STOP
from tasks.data.store.mix import mixed, shares, source_stats

SOURCE = st.lists(st.integers(1, 50), min_size=1, max_size=40)
WEIGHTS = st.floats(0.1, 10)


def index(lengths: list[int], seed: int = 0) -> np.ndarray:
    stops = np.cumsum(lengths)
    rows = np.zeros((len(lengths), 7), np.int64)
    rows[:, START], rows[:, STOP] = stops - lengths, stops
    rows[:, DIGEST] = np.random.default_rng(seed).permutation(len(lengths) * 10)[: len(lengths)]
    return rows


@given(
    st.lists(st.tuples(SOURCE, WEIGHTS), min_size=1, max_size=4), st.booleans(), st.sampled_from(["examples", "tokens"])
)
def test_shares_are_kept_to_within_one_example(given_: list, repeat: bool, by):
    sources = [index(lengths, n) for n, (lengths, _) in enumerate(given_)]
    weights = [weight for _, weight in given_]
    taken = mixed(sources, weights, by, repeat)
    amounts = [len(rows) if by == "examples" else int((rows[:, STOP] - rows[:, START]).sum()) for rows in taken]
    sizes = [len(rows) if by == "examples" else int((rows[:, STOP] - rows[:, START]).sum()) for rows in sources]
    scale = (max if repeat else min)(size / weight for size, weight in zip(sizes, weights, strict=True))
    for rows, source, amount, weight in zip(taken, sources, amounts, weights, strict=True):
        largest = 1 if by == "examples" else int((source[:, STOP] - source[:, START]).max())
        assert abs(amount - scale * weight) <= largest + 1e-3
        counts = np.unique(rows[:, START], return_counts=True)[1]
        assert counts.max() - counts.min() <= 1, "no row stands twice more often than another"
        if repeat:
            assert set(rows[:, START]) == set(source[:, START]), "nothing is left out"
        else:
            assert counts.max() == 1, "nothing stands twice"
    assert sum(shares(taken, by)) == pytest.approx(1)


def test_without_weights_everything_stands_once():
    sources = [index([1, 2, 3]), index([4])]
    assert [rows.tolist() for rows in mixed(sources, None, "tokens", True)] == [rows.tolist() for rows in sources]


@given(SOURCE, st.randoms())
def test_the_order_of_rows_changes_nothing(lengths: list[int], random):
    rows, other = index(lengths), index([7])
    order = list(range(len(lengths)))
    random.shuffle(order)
    one, two = (mixed([r, other], [3.0, 1.0], "examples", False)[0] for r in (rows, rows[order]))
    assert set(one[:, DIGEST].tolist()) == set(two[:, DIGEST].tolist())


def test_what_is_left_out_and_repeated_is_counted():
    rows = index([2, 2, 2])
    left = source_stats("a", 1.0, 4, rows, rows[:2], 0.5)
    assert (left.available, left.examples, left.left_out, left.repeated, left.tokens) == (3, 2, 1, 0, 4)
    more = source_stats("a", 1.0, 4, rows, np.concatenate([rows, rows[:1]]), 0.5)
    assert (more.examples, more.left_out, more.repeated) == (4, 0, 1)
