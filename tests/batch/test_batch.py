import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.batch import make_batch
from tasks.batch.batch import WIDTH, padded_width
from tests.batch.rows import MemoryRows, lengths


@given(st.integers(1, 10_000))
def test_a_width_is_the_next_multiple_that_holds_the_inputs(length):
    width = padded_width(length)
    assert width % WIDTH == 0
    assert 0 <= width - max(1, length - 1) < WIDTH


@given(lengths)
def test_a_batch_holds_every_token_once_and_nothing_else(lengths):
    rows = MemoryRows(lengths)
    batch = make_batch([[(rows.ids(i), rows.weights(i))] for i in range(len(rows))], range(len(rows)))
    assert batch.inputs_BT.shape == (len(rows), max(padded_width(n) for n in lengths))
    assert batch.examples == tuple(range(len(rows)))
    for i, n in enumerate(lengths):
        np.testing.assert_array_equal(batch.inputs_BT[i, : n - 1], rows.ids(i)[:-1])
        np.testing.assert_array_equal(batch.targets_BT[i, : n - 1], rows.ids(i)[1:])
        np.testing.assert_array_equal(batch.weights_BT[i, : n - 1], rows.weights(i)[1:])
        np.testing.assert_array_equal(batch.segments_BT[i], batch.real_BT[i])
        np.testing.assert_array_equal(batch.real_BT[i], np.arange(batch.real_BT.shape[1]) < n - 1)
        for padded in (batch.inputs_BT, batch.targets_BT, batch.weights_BT):
            assert not padded[i, n - 1 :].any()


def test_the_weight_of_the_first_token_is_of_no_consequence():
    """Nothing predicts it."""
    ids = np.array([4, 5, 6])
    one, other = (make_batch([[(ids, np.array([w, 0.5, 1.0]))]], [0]) for w in (0.0, 1.0))
    np.testing.assert_array_equal(one.weights_BT, other.weights_BT)
    assert one.weights_BT.sum() == 1.5


def test_arrays_have_the_types_that_mlx_takes_without_a_copy():
    batch = make_batch([[(np.array([4, 5], np.uint32), np.array([0.0, 1.0], np.float64))]], [0])
    assert (batch.inputs_BT.dtype, batch.targets_BT.dtype) == (np.int32, np.int32)
    assert (batch.weights_BT.dtype, batch.real_BT.dtype) == (np.float32, np.float32)


def test_a_width_that_does_not_hold_a_row_is_refused():
    with pytest.raises(ValueError, match="broadcast"):
        make_batch([[(np.arange(9), np.ones(9))]], [0], width=4)


@given(lengths)
def test_a_packed_row_is_its_examples_one_after_another(lengths):
    rows = MemoryRows([max(2, n) for n in lengths])
    batch = make_batch([[(rows.ids(i), rows.weights(i)) for i in range(len(rows))], []], range(len(rows)))
    assert batch.packed == (len(rows) > 1)
    assert not batch.segments_BT[1].any()
    for i in range(len(rows)):
        here = batch.segments_BT[0] == i + 1
        np.testing.assert_array_equal(batch.inputs_BT[0, here], rows.ids(i)[:-1])
        np.testing.assert_array_equal(batch.targets_BT[0, here], rows.ids(i)[1:])
        np.testing.assert_array_equal(batch.weights_BT[0, here], rows.weights(i)[1:])
    assert batch.tokens == rows.lengths.sum()
    assert batch.supervised_tokens == sum(np.count_nonzero(rows.weights(i)[1:]) for i in range(len(rows)))
