import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.batch import Packed
from tasks.batch.batch import positions
from tests.batch.rows import lengths

widths = st.sampled_from([16, 64, 256, 2048])


@given(lengths, widths, st.integers(1, 5), st.integers(0, 100))
def test_every_example_once_in_rows_that_hold_them(lengths, tokens, size, seed):
    layout = Packed(tokens=tokens, size=size)
    plan = layout.plan(lengths, np.random.default_rng(seed))
    assert sorted(i for batch in plan for row in batch for i in row) == list(range(len(lengths)))
    for batch in plan:
        filled = [sum(positions(lengths[i]) for i in row) for row in batch]
        width = layout.width(max(filled), positions(max(lengths)))
        assert max(filled) <= width
        assert len(batch) == max(1, size * tokens // width)


@given(lengths, widths)
def test_no_two_rows_would_fit_in_one(lengths, tokens):
    """First fit leaves at most one row half empty or less."""
    plan = Packed(tokens=tokens).plan(lengths, np.random.default_rng(0))
    filled = [sum(positions(lengths[i]) for i in row) for batch in plan for row in batch]
    assert sum(f <= tokens // 2 for f in filled) <= 1


def test_the_order_is_the_generator_s():
    lengths = np.random.default_rng(0).integers(2, 300, 200).tolist()
    plans = [Packed(tokens=512).plan(lengths, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]


def test_a_wide_row_holds_the_longest_of_all():
    assert [Packed(tokens=64).width(n, n) for n in (1, 64, 65, 128, 129, 1000)] == [64, 64, 128, 128, 256, 1024]
    assert [Packed(tokens=64).width(n, 300) for n in (1, 64, 65, 300)] == [64, 64, 512, 512]


def test_wide_rows_are_filled_up_too():
    lengths = [301, *[33] * 9, 289]  # rows of 512: 300 + 6 x 32, and 288 + 3 x 32
    plan = Packed(tokens=64).plan(lengths, np.random.default_rng(0))
    filled = sorted(sum(positions(lengths[i]) for i in row) for batch in plan for row in batch)
    assert filled == [288 + 3 * 32, 300 + 6 * 32]


@pytest.mark.parametrize("wrong", [{"tokens": 0}, {"tokens": 100}, {"size": 0}, {"kind": "padded"}], ids=str)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Packed.model_validate(wrong)
