"""The cache: what it answers, its number, and what it refuses."""

import sys

import mlx.core as mx
import pytest
from mlx_lm.models.cache import make_prompt_cache

from tasks.attention import Way, alone_cache, packed_cache
from tasks.attention.packed_cache import PackedCache
from tasks.attention.packed_row import SegmentMask
from tasks.errors import ModelError
from tests.attention.families import STARTS, segments_of, tiny
from tests.step.test_law import FAMILIES, LATENT

SEGMENTS = segments_of()


def test_who_asks_for_an_array_gets_bools_any_way() -> None:
    cache = packed_cache(tiny("qwen3"), SEGMENTS, mx.float32, way="blockwise")[0]
    assert cache.make_mask(44, return_array=True).dtype == mx.bool_
    assert isinstance(cache.make_mask(44), SegmentMask)


@pytest.mark.parametrize("length", [44, LATENT["qk_rope_head_dim"]])
def test_latent_attention_is_told_its_rotary_queries(length: int) -> None:
    cache = alone_cache(tiny("deepseek_v3", **FAMILIES["deepseek_v3"]), length, mx.float32)[0]
    assert cache.make_mask(length, return_array=True) is None
    queries, rotary = mx.random.normal((1, 4, length, 16)), mx.random.normal((1, 1, length, 16))
    _, given = cache.update_and_fetch(mx.zeros((1, 1, length, 8)), rotary)
    scores = queries @ given.swapaxes(-1, -2)  # what the model does with them
    assert scores.shape[-1] not in (1, length)  # no mask could be meant
    back, keys = cache.rotary(scores)
    assert mx.array_equal(back, queries)
    assert mx.array_equal(keys, mx.broadcast_to(rotary, keys.shape))


@pytest.mark.parametrize("family", ["qwen3", "gemma3_text", "gpt_oss"])
def test_as_many_as_the_model_makes(family: str) -> None:
    model = tiny(family)
    assert len(packed_cache(model, SEGMENTS, mx.float32)) == len(make_prompt_cache(model))


def test_it_stores_no_history() -> None:
    cache = packed_cache(tiny("qwen3"), SEGMENTS, mx.float32)[0]
    assert cache.empty()
    pair = mx.zeros((1,)), mx.ones((1,))
    assert cache.update_and_fetch(*pair) == pair == cache.keys_and_values() == cache.state
    cache.maybe_trim_front()
    assert (cache.offset, cache.size(), cache.empty(), cache.is_trimmable()) == (0, 0, False, False)


def test_a_state_across_segments_is_refused() -> None:
    with pytest.raises(ModelError, match="mamba model keeps a ArraysCache"):
        packed_cache(tiny("mamba"), SEGMENTS, mx.float32)


def test_another_length_than_the_rows() -> None:
    with pytest.raises(ValueError, match="mask of 43"):
        packed_cache(tiny("qwen3"), SEGMENTS, mx.float32)[0].make_mask(43)


@pytest.mark.parametrize("boundaries", [None, STARTS[:1], [[0, 44], [0, 43]], [[0, 9, 9, 44], [0, 44]]])
def test_split_wants_true_boundaries(boundaries: list[list[int]] | None) -> None:
    with pytest.raises(ValueError, match="from 0 to 44"):
        packed_cache(tiny("qwen3"), SEGMENTS, mx.float32, way="split", boundaries=boundaries)


def test_a_row_of_one_example_needs_no_array_for_a_mask() -> None:
    assert alone_cache(tiny("mamba"), 44, mx.float32) == [None, None]
    cache = alone_cache(tiny("qwen3"), 44, mx.float32)[0]
    assert cache.make_mask(44) == cache.make_mask(44, window_size=44) == "causal"
    assert "segment_attention" in cache.make_mask(44, window_size=7)  # without it, an error: not what lies beyond
    causal = cache.make_mask(44, return_array=True, window_size=7)  # for a model that does attention by itself
    at = mx.arange(44)
    near = (at[:, None] >= at) & (at[:, None] - at < 7)
    assert mx.array_equal(causal[0, 0], near)


def test_chunks_are_known_from_the_models_own_cache() -> None:
    first, _, _, everywhere = alone_cache(tiny("llama4"), 44, mx.float32)
    assert (first.chunk, everywhere.chunk) == (7, None)
    assert first.make_mask(44).chunk == 7


@pytest.mark.parametrize("way", ["mask", "blockwise", "split"])
def test_a_models_own_chunks_do_not_keep_segments_apart(way: Way) -> None:
    model = tiny("llama4")
    cache = packed_cache(model, SEGMENTS, mx.float32, way=way, boundaries=STARTS)
    with pytest.raises(ValueError, match="broadcast"):  # without segment_attention(model)
        mx.eval(model(segments_of(), cache=cache))


def test_a_window_on_cuda_is_one_additive_mask_for_all_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[PackedCache.__module__], "backend", lambda: "cuda")  # the name is a function's too
    first, second, _ = alone_cache(tiny("gemma3_text"), 256, mx.bfloat16)
    mask = first.make_mask(256, window_size=7)
    assert (mask.shape, mask.dtype) == ((1, 1, 256, 256), mx.bfloat16)
    assert second.make_mask(256, window_size=7) is mask
    assert isinstance(first.make_mask(256, window_size=512), str)
