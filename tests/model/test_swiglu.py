import mlx.core as mx
import mlx.nn as nn

from tasks.model.swiglu import swiglu
from tests.attention.families import apart


def test_values_and_gradients_are_the_stock_ones() -> None:
    gate, x, cotangent = (8 * mx.random.normal((40, 30), key=mx.random.key(n)) for n in range(3))
    left = mx.vjp(swiglu, [gate, x], [cotangent])
    right = mx.vjp(lambda gate, x: nn.silu(gate) * x, [gate, x], [cotangent])
    for a, b in zip(left[0] + left[1], right[0] + right[1], strict=True):
        assert apart(a, b) < 1e-6


def test_gates_far_from_zero_stay_numbers() -> None:
    gate, x = mx.array([-1e5, -100.0, 100.0, 1e5]), mx.ones((4,))
    out, grads = mx.vjp(swiglu, [gate, x], [x])
    assert mx.allclose(out[0], mx.array([0.0, 0.0, 100.0, 1e5]))
    assert mx.allclose(grads[0], mx.array([0.0, 0.0, 1.0, 1.0]))
