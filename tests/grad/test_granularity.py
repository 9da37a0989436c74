"""What is recomputed changes memory alone: the gradients are those of a step that keeps everything."""

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_map
from mlx_lm.models import gemma3n
from mlx_lm.models.cache import make_prompt_cache

from tasks.attention import honours_alone, honours_segments, packed_cache, segment_attention
from tasks.errors import ConfigError
from tasks.grad import checkpoint_blocks, recomputed, value_and_grad
from tasks.lora import LoRA
from tasks.lora.attach import adapted_layers, attach
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


@pytest.fixture(scope="module")
def sharing():
    """A gemma3n with adapters, whose last two layers read the keys and values of the two before."""
    text = {
        **{
            "hidden_size": 32,
            "num_hidden_layers": 4,
            "intermediate_size": 32,
            "num_attention_heads": 2,
            "head_dim": 16,
        },
        **{"rms_norm_eps": 1e-5, "vocab_size": 320, "num_key_value_heads": 1, "num_kv_shared_layers": 2},
        **{"vocab_size_per_layer_input": 320, "sliding_window": 64, "max_position_embeddings": 512, "laurel_rank": 4},
        **{"rope_local_base_freq": 1.0, "rope_theta": 1000.0, "final_logit_softcapping": 10.0, "altup_num_inputs": 2},
        **{"activation_sparsity_pattern": [0.5] * 4, "hidden_size_per_layer_input": 16, "altup_coef_clip": 1.0},
        **{"altup_correct_scale": True, "altup_active_idx": 0},
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "model_type": "gemma3n",
    }
    config = {"model_type": "gemma3n", "num_hidden_layers": 4, "vocab_size": 320, "text_config": text}
    model = gemma3n.Model(gemma3n.ModelArgs.from_dict(config))
    keys = iter(mx.random.split(mx.random.key(0), 1000))
    model.update(tree_map(lambda x: x + 0.05 * mx.random.normal(x.shape, key=next(keys)), model.parameters()))
    model.freeze()
    attach(model, LoRA(rank=4, alpha=8.0))
    for layer in adapted_layers(model).values():
        layer.lora_b = 0.05 * mx.random.normal(layer["lora_b"].shape, key=next(keys))
    return model


def sharing_gradients(model, checkpoint, caches):
    """{name: gradient} of a loss over one row, the model given what `caches` makes."""
    masters = model.trainable_parameters()

    def loss(parameters):
        model.update(parameters)
        return mx.square(model(token_ids(1, 24), cache=caches())).mean()

    try:
        with segment_attention(model), checkpoint_blocks(recomputed(model, checkpoint)):
            return arrays(value_and_grad(loss)(masters)[1])
    finally:
        model.update(masters)


@pytest.mark.parametrize("way", ["mask", "blockwise"])
@pytest.mark.parametrize("checkpoint", ["none", "all", "attention", "mlp", 2, 3])
def test_layers_that_share_keys_and_values(checkpoint, way, sharing):
    """The gradient goes through what one layer reads of another, as with mlx-lm's own cache."""
    expected = sharing_gradients(sharing, "none", lambda: make_prompt_cache(sharing))
    segments = mx.zeros((1, 24), mx.int32)
    found = sharing_gradients(sharing, checkpoint, lambda: packed_cache(sharing, segments, mx.float32, way=way))
    for name, gradient in expected.items():
        assert mx.linalg.norm(found[name] - gradient) <= 1e-5 * mx.linalg.norm(gradient), name


def test_a_model_that_shares_keys_is_probed_with_the_cache_that_it_generates_with(sharing):
    assert honours_segments(sharing, 320)
    assert honours_alone(sharing, 320)
