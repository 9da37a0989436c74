"""Dense products of unpacked weights are what the packed layers compute, forward and backward, a slice at a time."""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest

from tasks.model import unpacked
from tasks.model.unpacked import UNPACKED, unpacked_products


def gradients(layer, x):
    weights = mx.random.normal(layer(x).shape, key=mx.random.key(1))

    def total(x):
        return (layer(x).astype(mx.float32) * weights).sum()

    return mx.grad(total)(x)


def layers(dtype) -> list[Any]:
    mx.random.seed(0)
    found = [nn.QuantizedLinear(64, 32, bits=4, group_size=32), nn.QuantizedLinear(64, 32, bias=False, bits=8)]
    for layer in found:
        layer.set_dtype(dtype)
    return found


@pytest.mark.parametrize("at", range(2))
@pytest.mark.parametrize("at_a_time", [2**26, 64 * 7])
@pytest.mark.parametrize(("dtype", "tolerance"), [(mx.float32, 1e-5), (mx.bfloat16, 2e-2)])
def test_output_and_gradient_are_those_of_the_packed_layer(at, at_a_time, dtype, tolerance, monkeypatch):
    monkeypatch.setattr(unpacked, "AT_A_TIME", at_a_time)
    layer = layers(dtype)[at]
    x = mx.random.normal((2, 5, 64), key=mx.random.key(2)).astype(dtype)
    y, grad = layer(x), gradients(layer, x)
    with unpacked_products(layer):
        assert type(layer) in UNPACKED.values()
        found, found_grad = layer(x), gradients(layer, x)
    assert (found.dtype, found_grad.dtype) == (y.dtype, grad.dtype) == (dtype, dtype)
    for ours, theirs in ((found, y), (found_grad, grad)):
        gap = mx.linalg.norm((ours - theirs).astype(mx.float32).reshape(-1))
        assert gap.item() <= tolerance * mx.linalg.norm(theirs.astype(mx.float32).reshape(-1)).item()


def test_a_quantized_embedding_is_a_dense_head():
    embedding: Any = nn.QuantizedEmbedding(96, 64, bits=4)
    h, ids = mx.random.normal((3, 64), key=mx.random.key(0)), mx.array([1, 5, 95])
    logits, rows = embedding.as_linear(h), embedding(ids)
    with unpacked_products(embedding):
        assert mx.allclose(embedding.as_linear(h), logits, rtol=1e-5, atol=1e-5)
        assert mx.array_equal(embedding(ids), rows)


def test_few_weights_are_unpacked_at_a_time(monkeypatch):
    monkeypatch.setattr(unpacked, "AT_A_TIME", 2**18)
    head, x = nn.QuantizedLinear(512, 2**14, bias=False), mx.random.normal((2, 512))
    mx.eval(head.parameters(), x)
    with unpacked_products(head):
        held = mx.get_active_memory()
        mx.reset_peak_memory()
        mx.eval(gradients(head, x))
    dense = 4 * 512 * 2**14
    assert mx.get_peak_memory() - held < dense / 4


def test_the_classes_are_put_back_after_an_error():
    model: Any = nn.Sequential(nn.QuantizedEmbedding(8, 64), nn.QuantizedLinear(64, 8))
    with pytest.raises(ZeroDivisionError), unpacked_products(model):
        _ = 1 / 0
    assert [type(layer) for layer in model.layers] == [nn.QuantizedEmbedding, nn.QuantizedLinear]


def test_a_layer_with_a_class_of_its_own_stays():
    class Shifted(nn.QuantizedLinear):
        pass

    layer = Shifted(64, 8)
    with unpacked_products(layer):
        assert type(layer) is Shifted
