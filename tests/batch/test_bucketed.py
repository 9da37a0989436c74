import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.batch import Bucketed
from tasks.batch.batch import WIDTH, padded_width, positions
from tests.batch.rows import lengths


def _bucket(length: int) -> int:
    return Bucketed().width(positions(length))


@given(lengths, st.integers(1, 4096), st.integers(0, 100))
def test_every_example_once_within_the_budget(lengths, tokens, seed):
    plan = Bucketed(tokens=tokens).plan(lengths, np.random.default_rng(seed))
    assert sorted(i for batch in plan for (i,) in batch) == list(range(len(lengths)))
    for batch in plan:
        width = max(padded_width(lengths[i]) for (i,) in batch)
        assert len(batch) == 1 or len(batch) * width <= tokens


@given(lengths, st.integers(1, 4096))
def test_the_rows_of_a_batch_are_of_one_bucket(lengths, tokens):
    for batch in Bucketed(tokens=tokens).plan(lengths, np.random.default_rng(0)):
        assert len({_bucket(lengths[i]) for (i,) in batch}) == 1


@given(st.integers(1, 100_000))
def test_a_bucket_wastes_at_most_a_fifth_beyond_rounding(length):
    width = padded_width(length)
    assert width <= _bucket(length) < width * 1.25 + 1


def test_buckets_are_few():
    widths = sorted({_bucket(length) for length in range(1, 64 * WIDTH + 2)})
    four = [n << k for k in range(1, 4) for n in (5, 6, 7, 8)]
    assert widths == [WIDTH * n for n in [*range(1, 9), *four]]


def test_the_order_is_the_generator_s():
    lengths = np.random.default_rng(0).integers(2, 300, 60).tolist()
    plans = [Bucketed(tokens=512).plan(lengths, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]


def test_batches_do_not_come_sorted_by_length():
    lengths = list(range(2, 400))
    plan = Bucketed(tokens=512).plan(lengths, np.random.default_rng(0))
    widths = [max(lengths[i] for (i,) in batch) for batch in plan]
    assert widths != sorted(widths)
    assert widths != sorted(widths, reverse=True)


@pytest.mark.parametrize("wrong", [{"tokens": 0}, {"size": 2}, {"kind": "packed"}], ids=str)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Bucketed.model_validate(wrong)
