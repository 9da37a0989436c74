"""What lies where, against what MLX allocates."""

import mlx.core as mx
import pytest

from tasks.memory.layout import reshaped, row_strides
from tasks.memory.replay import replay
from tasks.memory.trace import trace

MASK = 256 * 256


@pytest.mark.parametrize(
    ("shape", "axes", "wanted"),
    [((4, 6), (1, 0), (24,)), ((2, 3, 4), (0, 2, 1), (2, 4, 3)), ((2, 3, 4), (1, 0, 2), (3, 2, 2, 2))],
)
def test_a_reshape_is_a_view_where_numpy_says_so(shape, axes, wanted) -> None:
    import numpy as np

    array = np.zeros(shape, np.int8).transpose(axes)
    found = reshaped(array.shape, array.strides, wanted)
    view = array.reshape(wanted)
    assert (found is not None) == np.shares_memory(view, array)
    if found is not None:
        assert tuple(s for s, n in zip(found, wanted, strict=True) if n > 1) == tuple(
            s for s, n in zip(view.strides, wanted, strict=True) if n > 1
        )


def test_a_broadcast_mask_stays_small_when_it_is_cast() -> None:
    def cast(mask: mx.array) -> list[mx.array]:
        return [mx.broadcast_to(mask, (8, 256, 256)).astype(mx.float32)]

    assert replay(trace(cast, mx.zeros((256, 256), mx.bool_))).nbytes == 4 * MASK


def test_a_transposed_batch_is_copied_for_a_product() -> None:
    def product(x: mx.array) -> list[mx.array]:
        return [x.transpose(0, 2, 1, 3) @ mx.ones((64, 1))]

    graph = trace(product, mx.zeros((1, 256, 8, 64)))
    assert replay(graph).nbytes >= 256 * 8 * 64 * 4


def test_row_strides() -> None:
    assert row_strides((2, 3)) == (3, 1)
