"""Through a frozen base the gradients of the adapters and of the inputs are what the stock layers give."""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest

from tasks.model.frozen import FROZEN, frozen_base


def gradients(layer, x):
    weights = mx.random.normal(layer(x).shape, key=mx.random.key(1))

    def total(x):
        return (layer(x).astype(mx.float32) * weights).sum()

    return mx.grad(total)(x)


def layers(dtype) -> list[Any]:
    mx.random.seed(0)
    norm = nn.RMSNorm(64)
    norm.weight = mx.random.normal((64,)) + 1
    found = [norm, nn.QuantizedLinear(64, 32, bits=4, group_size=32), nn.QuantizedLinear(64, 32, bias=False, bits=8)]
    for layer in found:
        layer.set_dtype(dtype)
    return [layer.freeze() for layer in found]


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize(("dtype", "tolerance"), [(mx.float32, 1e-5), (mx.bfloat16, 2e-2)])
def test_output_and_gradient_are_those_of_the_stock_layer(at, dtype, tolerance):
    layer = layers(dtype)[at]
    x = mx.random.normal((2, 5, 64), key=mx.random.key(2)).astype(dtype)
    y, grad = layer(x), gradients(layer, x)
    with frozen_base(layer):
        assert type(layer) in FROZEN.values()
        found, found_grad = layer(x), gradients(layer, x)
    assert (found.dtype, found_grad.dtype) == (y.dtype, grad.dtype) == (dtype, dtype)
    for ours, theirs in ((found, y), (found_grad, grad)):
        gap = mx.linalg.norm((ours - theirs).astype(mx.float32).reshape(-1))
        assert gap.item() <= tolerance * mx.linalg.norm(theirs.astype(mx.float32).reshape(-1)).item()


def test_a_quantized_embedding_is_a_dense_head():
    embedding: Any = nn.QuantizedEmbedding(96, 64, bits=4).freeze()
    h, ids = mx.random.normal((3, 64), key=mx.random.key(0)), mx.array([1, 5, 95])
    logits, rows = embedding.as_linear(h), embedding(ids)
    with frozen_base(embedding):
        assert mx.allclose(embedding.as_linear(h), logits, rtol=1e-5, atol=1e-5)
        assert mx.array_equal(embedding(ids), rows)


def test_the_classes_are_put_back_after_an_error():
    model: Any = nn.Sequential(nn.RMSNorm(64), nn.QuantizedLinear(64, 8)).freeze()
    with pytest.raises(ZeroDivisionError), frozen_base(model):
        _ = 1 / 0
    assert [type(layer) for layer in model.layers] == [nn.RMSNorm, nn.QuantizedLinear]


def test_a_trained_norm_is_a_mistake_of_ours():
    with pytest.raises(AssertionError, match="a trained RMSNorm"), frozen_base(nn.Sequential(nn.RMSNorm(8))):
        pass


def test_a_norm_with_a_class_of_its_own_stays():
    class Shifted(nn.RMSNorm):
        pass

    norm = Shifted(8).freeze()
    with frozen_base(norm):
        assert type(norm) is Shifted
