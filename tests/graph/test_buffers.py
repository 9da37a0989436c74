"""What lies where, against what MLX allocates."""

import mlx.core as mx

from tasks.graph.replay import replay
from tasks.graph.trace import trace

MASK = 256 * 256


def test_a_broadcast_mask_stays_small_when_it_is_cast() -> None:
    def cast(mask: mx.array) -> list[mx.array]:
        return [mx.broadcast_to(mask, (8, 256, 256)).astype(mx.float32)]

    assert replay(trace(cast, mx.zeros((256, 256), mx.bool_))).nbytes == 4 * MASK


def test_a_transposed_batch_is_copied_for_a_product() -> None:
    def product(x: mx.array) -> list[mx.array]:
        return [x.transpose(0, 2, 1, 3) @ mx.ones((64, 1))]

    graph = trace(product, mx.zeros((1, 256, 8, 64)))
    assert replay(graph).nbytes >= 256 * 8 * 64 * 4
