"""The held-out share."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.store.held_out_share import duplicates, held_out

DIGESTS = st.lists(st.integers(0, 20), min_size=0, max_size=60)


@given(DIGESTS, st.floats(0, 0.9), st.integers(0, 30))
def test_no_row_on_both_sides_and_train_never_empty(digests: list[int], share: float, most: int):
    values = np.array(digests, np.int64)
    out = held_out(values, share, most)
    assert not set(values[out].tolist()) & set(values[~out].tolist())
    assert len(values) == 0 or not out.all()


@given(DIGESTS, st.randoms())
def test_the_order_of_rows_changes_nothing(digests: list[int], random):
    order = list(range(len(digests)))
    random.shuffle(order)
    values = np.array(digests, np.int64)
    assert held_out(values, 0.3, 100)[order].tolist() == held_out(values[order], 0.3, 100).tolist()


def test_the_share_and_the_most():
    values = np.arange(1000)
    assert held_out(values, 0.1, 1000).sum() == 100
    assert held_out(values, 0.1, 7).sum() == 7
    assert held_out(values, 0.0001, 7).sum() == 1
    assert held_out(values, 0.0, 7).sum() == 0


@given(DIGESTS)
def test_duplicates_are_all_but_the_first_of_each(digests: list[int]):
    lines = np.arange(1, len(digests) + 1)
    found = duplicates(lines, np.array(digests, np.int64)).tolist()
    assert found == [n for n, digest in enumerate(digests, start=1) if digest in digests[: n - 1]]
