from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.models.switch_layers import SwitchLinear
from mlx_lm.tuner import lora as theirs

from tasks.lora.layers import LoRALinear, LoRASwitchLinear, wrap
from tests.tiny import same

KEY = mx.random.key(0)


def normal(*shape: int, seed: int = 1) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(seed))


def wrapped(linear: nn.Module, *, rank: int = 4, scale: float = 2.0, dropout: float = 0.0, b: float = 0.3) -> Any:
    layer = wrap(linear, rank=rank, scale=scale, dropout=dropout, key=KEY)
    layer.lora_b = b * normal(*layer.lora_b.shape, seed=2)
    return layer


def linears(bias: bool = True) -> dict[str, Any]:
    mx.random.seed(3)
    dense, experts = nn.Linear(64, 96, bias=bias), SwitchLinear(64, 96, 4, bias=bias)
    if bias:
        dense.bias, experts.bias = normal(96), normal(4, 96)
    kinds = {"dense": dense, "experts": experts}
    return kinds | {f"{name}-4bit": linear.to_quantized(64, 4) for name, linear in kinds.items()}


def call(layer: nn.Module, x: mx.array) -> mx.array:
    """Runs a dense layer on x, or the experts on two of four for each row."""
    if isinstance(layer, LoRASwitchLinear | theirs.LoRASwitchLinear) or hasattr(layer, "num_experts"):
        return layer(mx.expand_dims(x, (-2, -3)), mx.array([[0, 3], [1, 2], [3, 1]]))
    return layer(x)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", linears())
def test_with_b_zero_it_is_the_base_exactly(kind, bias):
    linear, x = linears(bias)[kind], normal(3, 64)
    assert same(call(wrapped(linear, b=0), x), call(linear, x))


@settings(max_examples=30)
@given(
    inputs=st.integers(1, 40),
    outputs=st.integers(1, 40),
    rank=st.integers(1, 8),
    scale=st.floats(0.1, 20),
    bias=st.booleans(),
)
def test_it_is_the_dense_merged_weight(inputs, outputs, rank, scale, bias):
    linear = nn.Linear(inputs, outputs, bias=bias)
    layer = wrapped(linear, rank=rank, scale=scale)
    x, a, b = (np.array(v, np.float64) for v in (normal(5, inputs), layer.lora_a, layer.lora_b))
    merged = np.array(linear.weight, np.float64) + scale * (a @ b).T
    expected = x @ merged.T + (np.array(linear.bias, np.float64) if bias else 0)
    np.testing.assert_allclose(np.array(layer(mx.array(x, mx.float32))), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", linears())
def test_it_equals_mlx_lm_s_layer(kind):
    linear, x = linears()[kind], normal(3, 64)
    ours = wrapped(linear)
    make = theirs.LoRASwitchLinear if "experts" in kind else theirs.LoRALinear
    other = make.from_base(linear, r=4, scale=2.0)
    assert (ours.lora_a.shape, ours.lora_b.shape) == (other.lora_a.shape, other.lora_b.shape)
    other.lora_a, other.lora_b = ours.lora_a, ours.lora_b
    np.testing.assert_allclose(np.array(call(ours, x)), np.array(call(other, x)), rtol=1e-6, atol=1e-6)


def test_sorted_experts_are_the_same_experts():
    layer, x = wrapped(linears()["experts"]), normal(6, 1, 64)
    indices = mx.array([0, 0, 1, 2, 2, 3])
    assert mx.allclose(layer(x, indices, sorted_indices=True), layer(x, indices), atol=1e-6)


@pytest.mark.parametrize("kind", linears())
def test_a_is_uniform_within_the_root_of_its_inputs_and_b_zero(kind):
    layer = wrap(linears()[kind], rank=64, scale=1.0, dropout=0.0, key=KEY)
    bound = 64**-0.5
    assert not layer.lora_b.any().item()
    assert mx.abs(layer.lora_a).max().item() <= bound
    assert layer.lora_a.var().item() == pytest.approx(bound**2 / 3, rel=0.1)
    assert (layer.lora_a.dtype, layer.lora_b.dtype) == (mx.float32, mx.float32)


@pytest.mark.parametrize("kind", linears())
def test_under_bfloat16_the_masters_stay_float32_and_the_result_bfloat16(kind):
    linear = linears()[kind]
    linear.set_dtype(mx.bfloat16)
    layer = wrapped(linear)
    assert (layer.lora_a.dtype, layer.lora_b.dtype) == (mx.float32, mx.float32)
    x = normal(3, 64)
    assert call(layer, x.astype(mx.bfloat16)).dtype == mx.bfloat16
    grads = mx.grad(lambda b: _with(layer, b, x.astype(mx.bfloat16)))(layer.lora_b)
    assert grads.dtype == mx.float32


def _with(layer, b: mx.array, x: mx.array) -> mx.array:
    held, layer.lora_b = layer.lora_b, b
    try:
        return call(layer, x).astype(mx.float32).sum()
    finally:
        layer.lora_b = held


@pytest.mark.parametrize("kind", linears())
def test_dropout_is_a_function_of_its_key(kind):
    layer, x = wrapped(linears()[kind], dropout=0.5), normal(3, 64)
    layer._key = mx.random.key(7)
    first = call(layer, x)
    assert same(first, call(layer, x))
    layer._key = mx.random.key(8)
    assert not mx.allclose(first, call(layer, x))


@pytest.mark.parametrize("kind", linears())
def test_there_is_no_dropout_in_evaluation(kind):
    linear, x = linears()[kind], normal(3, 64)
    with_dropout, without = wrapped(linear, dropout=0.5), wrapped(linear)
    with_dropout._key = mx.random.key(7)
    with_dropout.eval()
    assert same(call(with_dropout, x), call(without, x))


def test_dropout_keeps_the_mean_and_drops_its_share():
    layer = LoRALinear(nn.Linear(1, 1, bias=False), rank=1, scale=1.0, dropout=0.25, key=KEY)
    layer.linear.weight, layer.lora_a, layer.lora_b = mx.zeros((1, 1)), mx.ones((1, 1)), mx.ones((1, 1))
    layer._key = mx.random.key(0)
    y = layer(mx.ones((20_000, 1)))
    assert (y == 0).mean().item() == pytest.approx(0.25, abs=0.02)
    assert y.mean().item() == pytest.approx(1.0, abs=0.02)
    assert {round(v, 4) for v in np.unique(np.array(y)).tolist()} == {0.0, round(1 / 0.75, 4)}


def test_the_dropout_key_is_no_parameter():
    layer = wrapped(linears()["dense"], dropout=0.5)
    layer._key = mx.random.key(7)
    assert set(layer.parameters()) == {"linear", "lora_a", "lora_b"}


def test_quantized_inputs_are_counted_unpacked():
    for bits in (2, 3, 4, 5, 6, 8):
        layer = wrap(nn.Linear(64, 32).to_quantized(32, bits), rank=2, scale=1.0, dropout=0.0, key=KEY)
        assert (layer.lora_a.shape, layer.lora_b.shape) == ((64, 2), (2, 32))
