import mlx.core as mx
import numpy as np
import pytest

from tasks.attention import segment_attention
from tasks.batch import make_batch
from tasks.grad import checkpoint_blocks, value_and_grad
from tasks.lora import LoRA
from tasks.lora.attach import adapted_layers, attach, draw_dropout
from tasks.loss import MaskedCrossEntropy
from tasks.model import Model
from tasks.model.base import load_base
from tasks.model.family import blocks, select_projections
from tasks.step.forward import Forward
from tests.tiny import arrays, attach_random, same, tiny_model, token_ids

FAMILIES = ["qwen3", "qwen3_moe", "gemma3_text", "llama"]


def attached(family: str = "qwen3", seed: int = 0, **options):
    model = tiny_model(family)
    attach(model, LoRA(**{"rank": 4, "alpha": 8.0, **options}), seed)
    return model


@pytest.mark.parametrize("quantize", [None, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_with_b_zero_the_model_is_the_base_exactly(family, quantize, model_folder):
    model = load_base(Model(path=str(model_folder(family)), quantize=quantize)).model
    before = model(token_ids())
    attach(model, LoRA(rank=4, alpha=8.0))
    assert same(model(token_ids()), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_trainable_but_the_two_factors_in_float32(family, model_folder):
    model = load_base(Model(path=str(model_folder(family, dtype="bfloat16")))).model
    names = attach(model, LoRA(rank=4, alpha=8.0))
    trainable = arrays(model.trainable_parameters())
    assert set(trainable) == {f"{name}.{leaf}" for name in names for leaf in ("lora_a", "lora_b")}
    assert {array.dtype for array in trainable.values()} == {mx.float32}
    others = [array for name, array in arrays(model.parameters()).items() if name not in trainable]
    assert {array.dtype for array in others} == {mx.bfloat16}


def test_what_was_trainable_is_frozen():
    model = tiny_model("qwen3")
    model.unfreeze()
    attach(model, LoRA(rank=4, alpha=8.0, targets=("self_attn.q_proj",)))
    assert {name.rpartition(".")[2] for name in arrays(model.trainable_parameters())} == {"lora_a", "lora_b"}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_bytes_whatever_the_order(family):
    one, other = tiny_model(family), tiny_model(family)
    paths = select_projections(one, ["all"])
    names = attach(one, LoRA(rank=4, targets=tuple(paths)), 5)
    assert names == attach(other, LoRA(rank=4, targets=tuple(paths[::-1])), 5) == sorted(names)
    left, right = arrays(one.trainable_parameters()), arrays(other.trainable_parameters())
    assert all(same(left[name], right[name]) for name in left)


def test_another_seed_gives_another_a_everywhere():
    left, right = (arrays(attached(seed=seed).trainable_parameters()) for seed in (0, 1))
    assert all(same(left[n], right[n]) is n.endswith("lora_b") for n in left)


def test_no_two_layers_share_an_a():
    drawn = [a for name, a in arrays(attached().trainable_parameters()).items() if name.endswith("lora_a")]
    assert len({np.array(a).tobytes() for a in drawn}) == len(drawn)


def test_mlx_s_global_random_state_is_left_alone():
    mx.random.seed(3)
    expected = mx.random.uniform(shape=(4,)).tolist()
    model = tiny_model()
    mx.random.seed(3)
    attach(model, LoRA(rank=4, alpha=8.0, targets=("self_attn.q_proj",)))
    assert mx.random.uniform(shape=(4,)).tolist() == expected


def test_last_blocks_leave_the_others_alone():
    model = tiny_model()
    names = attach(model, LoRA(rank=4, alpha=8.0, targets=("self_attn.q_proj",), last_blocks=1))
    assert names == ["model.layers.2.self_attn.q_proj"] == list(adapted_layers(model))


def test_drawing_gives_each_layer_its_own_key_and_the_same_again():
    model = attached(dropout=0.5)
    draw_dropout(model, mx.random.key(1))
    first = [np.array(layer._key).tobytes() for layer in adapted_layers(model).values()]
    assert len(set(first)) == len(first)
    draw_dropout(model, mx.random.key(1))
    assert first == [np.array(layer._key).tobytes() for layer in adapted_layers(model).values()]


def _gradients(model, key: mx.array, checkpointed: bool) -> dict[str, mx.array]:
    batch = make_batch([[(row, np.ones(24, np.float32))] for row in np.array(token_ids(2, 24))], [0, 1])
    masters, forward = model.trainable_parameters(), Forward(model, MaskedCrossEntropy())
    laid = forward.arrays(batch)

    def total(parameters):
        model.update(parameters)
        draw_dropout(model, key)
        return forward(laid)

    model.train()
    with segment_attention(model), checkpoint_blocks(blocks(model)[1] if checkpointed else []):
        grads = arrays(value_and_grad(total)(masters)[1])
        mx.eval(grads)
    model.update(masters)
    return grads


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_checkpointing_recomputes_the_same_dropout(family):
    model = tiny_model(family)
    attach_random(model, dropout=0.4)
    plain = _gradients(model, mx.random.key(1), checkpointed=False)
    again = _gradients(model, mx.random.key(1), checkpointed=True)
    other = _gradients(model, mx.random.key(2), checkpointed=True)
    for name, grad in plain.items():
        close = 1e-5 * float(mx.abs(grad).max())
        assert float(mx.abs(grad - again[name]).max()) <= close, name
        assert float(mx.abs(grad - other[name]).max()) > close, name
