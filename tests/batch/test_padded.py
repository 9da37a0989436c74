import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.batch import Padded
from tests.batch.rows import lengths


@given(lengths, st.integers(1, 20), st.integers(0, 100))
def test_every_example_once_in_batches_of_one_size(lengths, size, seed):
    plan = Padded(size=size).plan(lengths, np.random.default_rng(seed))
    assert sorted(i for batch in plan for (i,) in batch) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in plan[:-1])
    assert 1 <= len(plan[-1]) <= size


def test_the_order_is_the_generator_s():
    plans = [Padded(size=4).plan([5] * 40, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 2.0}, {"tokens": 64}, {"kind": "bucketed"}], ids=str)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Padded.model_validate(wrong)
