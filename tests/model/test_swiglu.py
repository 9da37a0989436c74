"""Both forms of SwiGLU against mlx-lm's own and float64."""

from collections import Counter

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.models import activations

from tasks.graph.trace import trace
from tasks.model.swiglu import cpu_swiglu, gpu_swiglu
from tests.attention.families import apart


def _pair(dtype: mx.Dtype = mx.float32) -> tuple[mx.array, mx.array]:
    gate, x = mx.random.normal((2, 7, 33), key=mx.random.key(0)) * 3
    return gate.astype(dtype), x.astype(dtype)


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16])
def test_a_gpus_is_mlx_lms_to_the_bit(dtype: mx.Dtype) -> None:
    gate, x = _pair(dtype)
    found = gpu_swiglu(gate, x)
    assert found.dtype == dtype
    assert mx.array_equal(found, activations.swiglu(gate, x))


def test_its_gradients_are_those_of_float64() -> None:
    (gate, x), cotangent = _pair(), mx.random.normal((7, 33), key=mx.random.key(1))
    found = mx.vjp(gpu_swiglu, [gate, x], [cotangent])[1]
    g, u, d = (np.array(array, np.float64) for array in (gate, x, cotangent))
    share = 1 / (1 + np.exp(-g))
    for grad, exact in zip(found, (d * u * (share + g * share * (1 - share)), d * g * share), strict=True):
        np.testing.assert_allclose(np.array(grad), exact, rtol=2e-6, atol=1e-6)


def test_a_compiled_step_makes_each_gradient_in_one_kernel() -> None:
    """Nothing in float32 is an array of its own, four times as wide as a block's input."""

    def grads(gate: mx.array, x: mx.array, cotangent: mx.array) -> list[mx.array]:
        return mx.vjp(gpu_swiglu, [gate, x], [cotangent])[1]

    gate, x = _pair(mx.bfloat16)
    graph = trace(grads, gate, x, x, compiled=True)
    assert Counter(op.name for op in graph.ops if op.name != "Depends") == {"Compiled": 2}
    assert all(graph.arrays[at].itemsize == 2 for op in graph.ops for at in op.outputs)


def test_half_precision_rounds_its_gradient_once() -> None:
    gate, x = _pair(mx.bfloat16)
    one = mx.ones(gate.shape, mx.bfloat16)
    exact = mx.vjp(gpu_swiglu, [gate.astype(mx.float32), x.astype(mx.float32)], [one.astype(mx.float32)])[1]
    for grad, wanted in zip(mx.vjp(gpu_swiglu, [gate, x], [one])[1], exact, strict=True):
        assert grad.dtype == mx.bfloat16
        assert mx.array_equal(grad, wanted.astype(mx.bfloat16))


def test_a_cpus_values_and_gradients_are_the_stock_ones() -> None:
    gate, x, cotangent = (8 * mx.random.normal((40, 30), key=mx.random.key(n)) for n in range(3))
    left = mx.vjp(cpu_swiglu, [gate, x], [cotangent])
    right = mx.vjp(lambda gate, x: nn.silu(gate) * x, [gate, x], [cotangent])
    for a, b in zip(left[0] + left[1], right[0] + right[1], strict=True):
        assert apart(a, b) < 1e-6


def test_gates_far_from_zero_stay_numbers() -> None:
    gate, x = mx.array([-1e5, -100.0, 100.0, 1e5]), mx.ones((4,))
    out, grads = mx.vjp(cpu_swiglu, [gate, x], [x])
    assert mx.allclose(out[0], mx.array([0.0, 0.0, 100.0, 1e5]))
    assert mx.allclose(grads[0], mx.array([0.0, 0.0, 1.0, 1.0]))
