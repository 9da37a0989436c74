import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tasks.grad import checkpoint_blocks, is_checkpointed
from tests.grad.tiny import flat_parameters, logits_of, sample_ids, tiny_model
from tests.loss.golden import named_arrays


class Dropped(nn.Module):
    """A LoRA-like block: a frozen base, two trained factors, and dropout from an explicit key."""

    def __init__(self, seed: int):
        super().__init__()
        a, b, c = mx.random.split(mx.random.key(seed), 3)
        self.base = mx.random.normal((8, 8), key=a)
        self.lora_a, self.lora_b = mx.random.normal((8, 2), key=b), mx.random.normal((2, 8), key=c)
        self._key = mx.random.key(seed)
        self.freeze(keys=["base"])
        self.calls = 0

    def __call__(self, x, mask=None, cache=None, *, shift=None):
        self.calls += 1
        kept = mx.random.bernoulli(0.5, x.shape, key=self._key)
        h = mx.tanh(x @ self.base + (mx.where(kept, x / 0.5, 0.0) @ self.lora_a) @ self.lora_b)
        h = h if mask is None else h + mask
        return h if shift is None else h + shift["by"][0]


class Stack(nn.Module):
    def __init__(self, n: int = 3):
        super().__init__()
        self.layers = [Dropped(i) for i in range(n)]


def gradients(model, x, compiled=False):
    def loss(params, x, by):
        model.update(params)
        for layer in model.layers:
            x = layer(x, mx.zeros((4, 8)), cache=None, shift={"by": [by]})
        return x.square().sum()

    held = model.trainable_parameters()
    step = mx.value_and_grad(loss, argnums=[0, 1, 2])
    value, grads = (mx.compile(step) if compiled else step)(held, x, mx.full((8,), 0.1))
    model.update(held)
    mx.eval(value, grads)
    return value.item(), [np.array(g) for g in named_arrays(grads).values()]


X = mx.random.normal((4, 8), key=mx.random.key(42))


@pytest.mark.parametrize(("compiled", "every"), [(False, 1), (False, 2), (True, 1)])
def test_dropout_and_every_argument_have_the_same_gradients(compiled, every):
    model = Stack()
    value, expected = gradients(model, X)
    with checkpoint_blocks(model.layers, every):
        ours, grads = gradients(model, X, compiled)
    assert ours == pytest.approx(value, rel=1e-6)
    assert len(grads) == len(expected) == 8
    for a, b in zip(grads, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        assert b.any()


def test_forward_draws_what_it_drew_before():
    model = Stack(1)
    expected = model.layers[0](X)
    with checkpoint_blocks(model.layers):
        assert mx.array_equal(model.layers[0](X), expected)


def test_only_these_instances_change_and_only_inside():
    model, other = Stack(4), Stack(1)
    names = list(named_arrays(model.parameters()))
    with checkpoint_blocks(model.layers, every=2):
        assert [is_checkpointed(layer) for layer in model.layers] == [True, False, True, False]
        assert all(isinstance(layer, Dropped) for layer in model.layers)
        assert not is_checkpointed(other.layers[0])
        assert list(named_arrays(model.parameters())) == names
        assert type(model.layers[0]).__name__ == "Dropped"
    assert all(type(layer) is Dropped for layer in model.layers)


def test_an_exception_undoes_it():
    model = Stack(2)
    with pytest.raises(KeyError), checkpoint_blocks(model.layers):
        raise KeyError
    assert all(type(layer) is Dropped for layer in model.layers)


def test_entering_twice_does_not_Stack():
    model = Stack(3)
    with checkpoint_blocks(model.layers):
        with checkpoint_blocks(model.layers):
            gradients(model, X)
        assert all(map(is_checkpointed, model.layers))
    assert [layer.calls for layer in model.layers] == [2, 2, 2]
    gradients(model, X)
    assert [layer.calls for layer in model.layers] == [3, 3, 3]


def test_no_tracer_stays_in_the_model():
    model = Stack(2)
    before = list(named_arrays(model.trainable_parameters()).values())
    with checkpoint_blocks(model.layers):
        gradients(model, X)
    after = list(named_arrays(model.trainable_parameters()).values())
    assert all(a is b for a, b in zip(before, after, strict=True))
    mx.eval(after)


def test_a_failing_block_leaves_its_parameters():
    model = Stack(1)
    before = model.layers[0].lora_a
    with checkpoint_blocks(model.layers), pytest.raises(ValueError, match="matmul"):
        model.layers[0](mx.ones((2, 3)))
    assert model.layers[0].lora_a is before


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="every is 0"), checkpoint_blocks([], every=0):
        pass
    with pytest.raises(TypeError, match="a block is a str"), checkpoint_blocks(["layer"]):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("model_type", ["qwen3", "gemma3_text", "llama"])
def test_real_models_have_the_same_gradients(model_type):
    model = tiny_model(model_type)
    fn, parameters = logits_of(model, sample_ids()), flat_parameters(model)

    def loss(parameters):
        logits = fn(*parameters)
        return (mx.logsumexp(logits, axis=-1) - logits[..., 3]).sum()

    expected = mx.grad(loss)(parameters)
    with checkpoint_blocks(model.layers):
        grads = mx.grad(loss)(parameters)
    for ours, plain in zip(grads, expected, strict=True):
        assert plain.any().item()
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-6)
