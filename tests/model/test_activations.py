"""Lean activations: the same values, the gradients of float64, and less kept for the backward pass."""

import importlib
from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.models import activations

from tasks.memory.graph import trace
from tasks.memory.replay import replay
from tasks.model.activations import ALONE, lean_activations, swiglu

Function = Callable[[mx.array], mx.array]


def _pair(dtype: mx.Dtype = mx.float32) -> tuple[mx.array, mx.array]:
    gate, x = mx.random.normal((2, 7, 33), key=mx.random.key(0)) * 3
    return gate.astype(dtype), x.astype(dtype)


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16])
def test_the_gated_unit_is_mlx_lms_to_the_bit(dtype: mx.Dtype) -> None:
    gate, x = _pair(dtype)
    found = swiglu(gate, x)
    assert found.dtype == dtype
    assert mx.array_equal(found, activations.swiglu(gate, x))


def test_its_gradients_are_those_of_float64() -> None:
    (gate, x), cotangent = _pair(), mx.random.normal((7, 33), key=mx.random.key(1))
    found = mx.vjp(swiglu, [gate, x], [cotangent])[1]
    g, u, d = (np.array(array, np.float64) for array in (gate, x, cotangent))
    share = 1 / (1 + np.exp(-g))
    for grad, exact in zip(found, (d * u * (share + g * share * (1 - share)), d * g * share), strict=True):
        np.testing.assert_allclose(np.array(grad), exact, rtol=2e-6, atol=1e-6)


def test_half_precision_rounds_its_gradient_once() -> None:
    gate, x = _pair(mx.bfloat16)
    one = mx.ones(gate.shape, mx.bfloat16)
    exact = mx.vjp(swiglu, [gate.astype(mx.float32), x.astype(mx.float32)], [one.astype(mx.float32)])[1]
    for grad, wanted in zip(mx.vjp(swiglu, [gate, x], [one])[1], exact, strict=True):
        assert grad.dtype == mx.bfloat16
        assert mx.array_equal(grad, wanted.astype(mx.bfloat16))


@pytest.mark.parametrize("name", ALONE)
def test_functions_of_one_array_are_mlxs_own_both_ways(name: str) -> None:
    stock, (x, cotangent) = getattr(nn, name), _pair()
    value, grad = mx.vjp(stock, [x], [cotangent])
    with lean_activations(True):
        lean = getattr(nn, name)
        assert lean is not stock
        found, back = mx.vjp(lean, [x], [cotangent])
    assert mx.array_equal(found[0], value[0])
    assert mx.array_equal(back[0], grad[0])


def test_models_get_it_by_name_and_lose_it_again() -> None:
    qwen3, switch = (importlib.import_module(f"mlx_lm.models.{name}") for name in ("qwen3", "switch_layers"))
    with lean_activations(True):
        assert qwen3.swiglu is swiglu
        assert switch.swiglu is swiglu
    assert qwen3.swiglu is activations.swiglu
    assert switch.swiglu is activations.swiglu


def test_a_cpu_keeps_mlx_lms_own() -> None:
    qwen3 = importlib.import_module("mlx_lm.models.qwen3")
    with lean_activations():
        assert (qwen3.swiglu is swiglu) == (mx.default_device() == mx.gpu)


@pytest.mark.parametrize("family", ["qwen3", "gemma3_text"])
def test_less_is_kept_for_the_backward(family: str) -> None:
    """Of an MLP: the width of the inner arrays that are alive at the peak, at the least."""
    module = importlib.import_module(f"mlx_lm.models.{family}")
    mlp = module.MLP(8, 512)

    def held() -> int:
        def grads(x: mx.array) -> list[mx.array]:
            return [mx.grad(lambda x: mx.square(mlp(mlp(x))).sum())(x)]

        return replay(trace(grads, mx.zeros((64, 8))), limit=0).nbytes

    plain = held()
    with lean_activations(True):
        assert held() < 0.85 * plain
