"""What only a Mac's GPU can show: MLX's Metal kernels in training give what the CPU gives. Skipped elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx
import numpy as np
import pytest

from tasks.attention import segment_attention
from tasks.attention.delta import gated_delta, has_fused
from tasks.batch import Packed, Padded, batches
from tasks.grad import value_and_grad
from tasks.loss import LOSSES, MaskedCrossEntropy
from tasks.loss.token_cross_entropy import token_cross_entropy
from tasks.model import Model
from tasks.model.base import load_base
from tasks.model.head import find_head
from tasks.step.forward import Forward
from tests.batch.rows import MemoryRows
from tests.tiny import arrays as named
from tests.tiny import attach_random, tiny_model
from tests.training import recipe, train_in

pytestmark = pytest.mark.metal
LENGTHS = [9, 30, 17, 12, 25, 40, 11]


@contextmanager
def on(device: mx.DeviceType) -> Iterator[None]:
    """A default device for a block."""
    before = mx.default_device()
    mx.set_default_device(mx.Device(device))
    try:
        yield
    finally:
        mx.set_default_device(before)


def _loss_and_gradients(family: str, layout: Packed | Padded, kind: str) -> tuple[float, dict[str, np.ndarray]]:
    """Of one batch through the packed step's attention, the head where it counts, and the loss."""
    model = tiny_model(family)
    attach_random(model)
    forward = Forward(model, LOSSES[kind](), find_head(model), chunk=16)
    masters = model.trainable_parameters()
    total, count, gradients = 0.0, 0.0, {}
    for batch in batches(MemoryRows(LENGTHS), layout, seed=0):
        arrays = forward.arrays(batch)

        def loss(parameters, arrays=arrays):
            model.update(parameters)
            return forward(arrays)

        with segment_attention(model):
            (value, counted), grads = value_and_grad(loss)(masters)
            model.update(masters)
            total, count = total + value.item(), count + counted.item()
        for name, array in named(grads).items():
            gradients[name] = gradients.get(name, 0.0) + np.array(array)
    return total / count, gradients


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("family", ["qwen3", "gemma3_text", "llama"])
def test_the_packed_step_on_the_gpu_is_padded_rows_on_the_cpu(family, kind):
    with on(mx.cpu):
        expected, wanted = _loss_and_gradients(family, Padded(size=3), kind)
    found, gradients = _loss_and_gradients(family, Packed(tokens=64, size=2), kind)
    assert found == pytest.approx(expected, rel=1e-4)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, wanted[name], rtol=5e-3, atol=1e-3 * np.abs(wanted[name]).max())


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_the_fused_cross_entropy_and_its_gradient(dtype):
    logits = mx.random.normal((6, 1000), key=mx.random.key(0)).astype(dtype)
    targets = mx.array([0, 999, 1, 2, 500, 7])

    def total(values: mx.array) -> mx.array:
        return token_cross_entropy(values, targets).sum()

    value, gradient = mx.value_and_grad(total)(logits)
    with on(mx.cpu):
        expected, wanted = mx.value_and_grad(total)(logits.astype(mx.float32))
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert mx.allclose(gradient.astype(mx.float32), wanted, atol=1e-5 if dtype == mx.float32 else 1e-2)


@pytest.mark.parametrize("T", [5, 100, 1000])
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_the_fused_gated_delta_rule(T, dtype):
    a, b, c, d, e, f = mx.random.split(mx.random.key(T), 6)
    q, k = mx.random.normal((1, T, 16, 128), key=a), mx.random.normal((1, T, 16, 128), key=b)
    k, v = k / mx.linalg.norm(k, axis=-1, keepdims=True), mx.random.normal((1, T, 32, 128), key=c)
    g, beta = mx.sigmoid(3 * mx.random.normal((1, T, 32), key=d) + 6), mx.sigmoid(mx.random.normal((1, T, 32), key=e))
    cotangent = mx.random.normal(v.shape, key=f).astype(dtype)
    inputs = [*(x.astype(dtype) for x in (q, k, v)), g, beta]
    assert has_fused(k.shape, v.shape, g.ndim)
    y, gradients = mx.vjp(lambda *x: gated_delta(*x)[0], inputs, [cotangent])
    again = mx.vjp(lambda *x: gated_delta(*x)[0], inputs, [cotangent])[1]
    with on(mx.cpu):
        expected, wanted = mx.vjp(lambda *x: gated_delta(*x)[0], inputs, [cotangent])
    for n, (found, right) in enumerate(zip(y + gradients, expected + wanted, strict=True)):
        found, right = np.array(found.astype(mx.float32)), np.array(right.astype(mx.float32))
        far = np.linalg.norm(found - right) / np.linalg.norm(right)
        assert far < (1e-3 if dtype == mx.float32 else 1e-2), n
    assert all(mx.array_equal(one, two) for one, two in zip(gradients, again, strict=True))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_half_precision_base_has_float32_gradients(dtype, model_folder):
    model = load_base(Model(path=str(model_folder("qwen3", dtype=dtype)))).model
    attach_random(model)
    forward = Forward(model, MaskedCrossEntropy(), find_head(model))
    masters = model.trainable_parameters()
    (batch,) = batches(MemoryRows(LENGTHS), Padded(size=7), seed=0)

    def loss(parameters):
        model.update(parameters)
        return forward(forward.arrays(batch))

    with segment_attention(model):
        (total, _), gradients = value_and_grad(loss)(masters)
    assert np.isfinite(total.item())
    for name, gradient in named(gradients).items():
        assert gradient.dtype == mx.float32, name
        assert mx.isfinite(gradient).all().item(), name


@pytest.mark.parametrize("quantize", [None, 4])
def test_the_compiled_step_gives_the_same_bytes_twice(quantize, model_folder, token_cache, tmp_path):
    source = Model(path=str(model_folder("qwen3")), quantize=quantize)
    how = recipe(layout=Packed(tokens=256, size=1))
    one, two = (train_in(tmp_path / name, token_cache, source, how) for name in "ab")
    assert one.adapter.sha256 == two.adapter.sha256
