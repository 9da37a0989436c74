"""Strides against NumPy's."""

import numpy as np
import pytest

from tasks.graph.strides import reshaped, row_strides


@pytest.mark.parametrize(
    ("shape", "axes", "wanted"),
    [((4, 6), (1, 0), (24,)), ((2, 3, 4), (0, 2, 1), (2, 4, 3)), ((2, 3, 4), (1, 0, 2), (3, 2, 2, 2))],
)
def test_a_reshape_is_a_view_where_numpy_says_so(shape, axes, wanted) -> None:
    array = np.zeros(shape, np.int8).transpose(axes)
    found = reshaped(array.shape, array.strides, wanted)
    view = array.reshape(wanted)
    assert (found is not None) == np.shares_memory(view, array)
    if found is not None:
        assert tuple(s for s, n in zip(found, wanted, strict=True) if n > 1) == tuple(
            s for s, n in zip(view.strides, wanted, strict=True) if n > 1
        )


def test_row_strides() -> None:
    assert row_strides((2, 3)) == (3, 1)
