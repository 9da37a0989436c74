"""A GPU's activations: the same values and gradients, and less kept for the backward pass."""

import importlib
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.models import activations

from tasks.graph.queue import NONE
from tasks.graph.replay import replay
from tasks.graph.trace import trace
from tasks.lora.layers import wrap
from tasks.model.activations import ALONE, made_of, own_activations
from tasks.model.swiglu import cpu_swiglu, gpu_swiglu

STOCK = activations.swiglu


def _pair(dtype: mx.Dtype = mx.float32) -> tuple[mx.array, mx.array]:
    gate, x = mx.random.normal((2, 7, 33), key=mx.random.key(0)) * 3
    return gate.astype(dtype), x.astype(dtype)


@pytest.mark.parametrize("name", ALONE)
def test_functions_of_one_array_are_mlxs_own_both_ways(name: str) -> None:
    stock, (x, cotangent) = getattr(nn, name), _pair()
    value, grad = mx.vjp(stock, [x], [cotangent])
    with own_activations("gpu"):
        lean = getattr(nn, name)
        assert lean is not stock
        found, back = mx.vjp(lean, [x], [cotangent])
    assert mx.array_equal(found[0], value[0])
    assert mx.array_equal(back[0], grad[0])


def test_models_get_it_by_name_and_lose_it_again() -> None:
    qwen3, switch = (importlib.import_module(f"mlx_lm.models.{name}") for name in ("qwen3", "switch_layers"))
    with own_activations("gpu"):
        assert qwen3.swiglu is not STOCK
        assert switch.swiglu is not STOCK
    assert qwen3.swiglu is STOCK
    assert switch.swiglu is STOCK


def test_the_device_decides() -> None:
    qwen3, silu = importlib.import_module("mlx_lm.models.qwen3"), nn.silu
    with own_activations():
        assert (qwen3.swiglu is cpu_swiglu) == (mx.default_device() == mx.cpu)
    with own_activations("cpu"):
        assert qwen3.swiglu is cpu_swiglu
        assert nn.silu is silu


@pytest.mark.parametrize("family", ["qwen3", "gemma3_text"])
def test_less_is_kept_for_the_backward(family: str) -> None:
    """Of an MLP: the width of the inner arrays that are alive at the peak, at the least."""
    module = importlib.import_module(f"mlx_lm.models.{family}")
    mlp = module.MLP(8, 512)

    def held() -> int:
        def grads(x: mx.array) -> list[mx.array]:
            return [mx.grad(lambda x: mx.square(mlp(mlp(x))).sum())(x)]

        return replay(trace(grads, mx.zeros((64, 8))), NONE).nbytes

    plain = held()
    with own_activations("gpu"):
        assert held() < 0.85 * plain


def test_a_projection_keeps_what_its_input_was_made_of() -> None:
    """gate and up are kept for the gated unit's own gradient: its output need not be."""
    mlp = importlib.import_module("mlx_lm.models.qwen3").MLP(8, 512)
    mlp.down_proj = wrap(mlp.down_proj, rank=2, scale=1.0, dropout=0.0, key=mx.random.key(0))
    factors = mx.random.normal((512, 2)), mx.random.normal((2, 8))

    def grads(x: mx.array, a: mx.array, b: mx.array) -> list[mx.array]:
        def loss(x: mx.array, a: mx.array, b: mx.array) -> mx.array:
            mlp.down_proj.lora_a, mlp.down_proj.lora_b = a, b
            return mx.square(mlp(mx.sin(mlp(x)))).sum()

        return list(mx.grad(loss, argnums=(0, 1, 2))(x, a, b))

    x = mx.random.normal((64, 8))
    plain, expected = replay(trace(grads, x, *factors, compiled=True), NONE).nbytes, grads(x, *factors)
    with own_activations("gpu"):
        held, found = replay(trace(grads, x, *factors, compiled=True), NONE).nbytes, grads(x, *factors)
        assert activations_of(mlp, x) is gpu_swiglu
    assert held < 0.7 * plain
    for grad, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.array(grad), np.array(wanted), rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    assert made_of(x).inputs == (x,)


def activations_of(mlp: Any, x: mx.array) -> Any:
    """What the projection down takes its input to be made by."""
    seen = []
    inner, mlp.down_proj = mlp.down_proj, lambda h: seen.append(made_of(h).function)
    mlp(x)
    mlp.down_proj = inner
    return seen[0]
