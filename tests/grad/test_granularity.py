"""What is recomputed changes memory alone: the gradients are those of a step that keeps everything."""

import mlx.core as mx
import mlx.nn as nn
import pytest

from tasks.errors import ConfigError
from tasks.grad import checkpoint_blocks, recomputed, value_and_grad
from tests.tiny import arrays, attach_random, tiny_model, token_ids


def gradients(model, checkpoint, length=24):
    """({name: gradient}, peak bytes) of a loss over two rows."""
    ids, masters = token_ids(2, length), model.trainable_parameters()

    def loss(parameters):
        model.update(parameters)
        return mx.logsumexp(model(ids), axis=-1).mean()

    mx.eval(model.parameters())
    mx.synchronize()
    mx.reset_peak_memory()
    try:
        with checkpoint_blocks(recomputed(model, checkpoint)):
            found = arrays(value_and_grad(loss)(masters)[1])
            mx.eval(found)
    finally:
        model.update(masters)
    return found, mx.get_peak_memory()


@pytest.mark.parametrize("checkpoint", ["attention", "mlp", "all", 2])
@pytest.mark.parametrize("family", ["qwen3", "gemma3_text", "qwen3_moe", "phi3"])
def test_the_gradients_are_the_same(family, checkpoint):
    model = tiny_model(family)
    attach_random(model)
    expected, _ = gradients(model, "none")
    found, _ = gradients(model, checkpoint)
    assert list(found) == list(expected)
    for name, gradient in found.items():
        assert mx.linalg.norm(gradient - expected[name]) <= 1e-6 * mx.linalg.norm(expected[name]), name


def test_less_is_alive_the_more_is_recomputed():
    model = tiny_model("qwen3", num_hidden_layers=10)
    attach_random(model)
    peak = {kind: gradients(model, kind, length=256)[1] for kind in ("none", "attention", "mlp", "all", 2, 5)}
    assert peak["none"] > 1.2 * peak["attention"] > 1.2**2 * peak["all"]
    assert peak["none"] > 1.1 * peak["mlp"] > 1.1**2 * peak["all"]
    assert peak["none"] > peak[5] > peak[2] > peak["all"]


def test_every_kth_block_counts_from_the_first():
    model = tiny_model("qwen3", num_hidden_layers=7)
    layers = model.layers
    assert recomputed(model, 3) == [layers[0], layers[3], layers[6]]
    assert recomputed(model, 100) == [layers[0]]
    assert recomputed(model, "none") == []


def test_a_part_that_is_not_found_is_an_error_with_the_choices():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.model_type = "odd"
            self.layers = [tiny_model().layers[0], nn.Linear(2, 2)]

    with pytest.raises(
        ConfigError, match=r"memory\.checkpoint=mlp: 1 of 2 blocks of odd have no mlp .*; choose from none, all, or a"
    ):
        recomputed(Odd(), "mlp")
    assert len(recomputed(Odd(), "all")) == 2
