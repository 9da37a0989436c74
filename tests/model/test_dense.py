"""A dense base computes what its packed form does, for as long as it is asked for, and leaves nothing behind."""

import mlx.core as mx
import pytest

from tasks.adapter import base_checksums
from tasks.model import Model
from tasks.model.base import load_base
from tasks.model.dense import QUANTIZED, SHARE, dense_base, dense_bytes
from tests.tiny import attach_random, token_ids

FAMILIES = ["qwen3", "qwen3_moe", "gemma3_text", "llama"]


def _quantized(model_folder, family):
    model = load_base(Model(path=str(model_folder(family)), quantize=4, group_size=32)).model
    attach_random(model)
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_the_logits_and_the_base_stay(family, model_folder):
    model = _quantized(model_folder, family)
    logits, held = model(token_ids()), base_checksums(model)
    with dense_base(model, "dequantized") as swapped:
        assert swapped > 0
        assert not [m for m in model.modules() if isinstance(m, QUANTIZED)]
        assert mx.allclose(model(token_ids()), logits, rtol=1e-4, atol=1e-4)
        assert {name.rpartition(".")[2] for name in _trainable(model)} == {"lora_a", "lora_b"}
    assert base_checksums(model) == held
    assert mx.array_equal(model(token_ids()), logits)


def _trainable(model):
    from tasks.step.update import named

    return named(model.trainable_parameters())


def test_quantized_stays_quantized_and_auto_looks_at_the_memory(model_folder, monkeypatch):
    model = _quantized(model_folder, "qwen3")
    packed = [m for m in model.modules() if isinstance(m, QUANTIZED)]
    with dense_base(model, "quantized") as swapped:
        assert swapped == 0
    with dense_base(model, "auto") as swapped:
        assert swapped == len(packed)
    monkeypatch.setattr("tasks.model.dense.device_memory", lambda: dense_bytes(packed))
    with dense_base(model, "auto") as swapped:
        assert swapped == 0


@pytest.mark.skipif(mx.default_device() == mx.gpu, reason="a GPU's memory is its own, whatever a container allows")
def test_auto_keeps_to_a_container_s_limit(model_folder, monkeypatch, tmp_path):
    model, limit = _quantized(model_folder, "qwen3"), tmp_path / "memory.max"
    packed = [m for m in model.modules() if isinstance(m, QUANTIZED)]
    monkeypatch.setattr("tasks.device.capacity.CGROUPS", (limit,))
    for room, expected in ((1.01, len(packed)), (0.99, 0)):
        limit.write_text(str(int(room * dense_bytes(packed) / SHARE)))
        with dense_base(model, "auto") as swapped:
            assert swapped == expected


def test_two_at_once_are_left_in_any_order(model_folder):
    model = _quantized(model_folder, "qwen3")
    before = base_checksums(model)
    first, second = dense_base(model, "dequantized"), dense_base(model, "dequantized")
    first.__enter__()
    assert second.__enter__() == 0
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert base_checksums(model) == before


def test_it_is_undone_after_an_error(model_folder):
    model = _quantized(model_folder, "qwen3")
    before = base_checksums(model)
    with pytest.raises(ZeroDivisionError), dense_base(model, "dequantized"):
        _ = 1 / 0
    assert base_checksums(model) == before


def test_the_bytes_are_those_of_the_dense_weights(model_folder):
    model = _quantized(model_folder, "qwen3")
    packed = [m for m in model.modules() if isinstance(m, QUANTIZED)]
    with dense_base(model, "dequantized"):
        dense = sum(m.weight.nbytes for m in model.modules() if "weight" in m and m["weight"].ndim > 1)
    assert dense_bytes(packed) == dense
