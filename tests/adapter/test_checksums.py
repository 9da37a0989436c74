import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as numpy_arrays

from tasks.adapter import adapter_parameters, base_checksums
from tasks.adapter import checksums as room
from tasks.model import Model
from tasks.model.base import load_base
from tests.tiny import arrays, attach_random, tiny_model

FAMILIES = ["qwen3", "qwen3_moe", "gemma3_text", "llama"]


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_the_trainable_ones_sorted_by_full_name(family):
    model = tiny_model(family)
    attach_random(model)
    names = list(adapter_parameters(model))
    assert names == sorted(arrays(model.trainable_parameters()))
    assert "model.layers.0.self_attn.q_proj.lora_a" in names


@pytest.mark.parametrize("quantize", [None, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_checksums_of_the_base_do_not_see_the_adapter(family, quantize, model_folder):
    model = load_base(Model(path=str(model_folder(family)), quantize=quantize)).model
    before = base_checksums(model)
    assert list(before) == sorted(arrays(model.parameters()))
    attach_random(model)
    assert base_checksums(model) == before


def test_they_say_dtype_and_shape():
    assert base_checksums(tiny_model("qwen3"))["model.embed_tokens.weight"].startswith("float32 320x64 ")


def checksum(array: np.ndarray) -> str:
    return room._checksum(mx.array(array))


words = numpy_arrays(np.float32, st.integers(1, 40), elements=st.floats(-4, 4, width=32))


@given(words, st.data())
def test_a_flipped_bit_changes_the_checksum(array, data):
    bits = array.view(np.uint32)
    changed = bits.copy()
    changed[data.draw(st.integers(0, len(bits) - 1))] ^= np.uint32(1 << data.draw(st.integers(0, 31)))
    assert checksum(bits) != checksum(changed)


@given(words, st.data())
def test_exchanged_entries_change_the_checksum(array, data):
    i, j = (data.draw(st.integers(0, len(array) - 1)) for _ in range(2))
    changed = array.view(np.uint32).copy()
    changed[[i, j]] = changed[[j, i]]
    differs = bool((changed != array.view(np.uint32)).any())
    assert (checksum(array.view(np.uint32)) != checksum(changed)) is differs


@settings(max_examples=30)
@given(words, st.integers(1, 50))
def test_summing_by_pieces_changes_nothing(array, piece):
    whole = checksum(array)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "PIECE", piece)
        assert checksum(array) == whole


@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16, mx.float32, mx.uint32, mx.uint8, mx.int64])
def test_every_width_of_word_has_one(dtype):
    array = mx.arange(12).reshape(3, 4).astype(dtype)
    assert len(room._checksum(array)) == 32
    assert room._checksum(array) != room._checksum(array.T)


def test_it_is_the_two_sums_it_is_said_to_be():
    array = np.array([2**32 - 1, 5, 7], np.uint32)
    assert checksum(np.full(3, 2**63 - 1, np.uint64)) == f"{3 * (2**63 - 1) % 2**64:016x}{6 * (2**63 - 1) % 2**64:016x}"
    plain, placed = 2**32 + 11, (2**32 - 1) + 2 * 5 + 3 * 7
    assert checksum(array) == f"{plain:016x}{placed:016x}"
