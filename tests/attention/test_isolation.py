"""Who keeps segments apart, and who does not."""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_map

from tasks.attention import honours_alone, honours_segments, keeps_states
from tests.attention.families import OTHERS, SAME, tiny


@pytest.mark.parametrize("family", SAME)
def test_transformers_honour_segments_every_way(family: str) -> None:
    model = tiny(family)
    assert honours_segments(model, 300)
    assert honours_segments(model, 300, way="blockwise", row_length=2048)
    assert honours_segments(model, 300, way="split")


@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16])
def test_half_precision_passes(dtype: mx.Dtype) -> None:
    model = tiny("gemma3_text")  # MLX's CPU backend has no experts in half precision
    model.update(tree_map(lambda x: x.astype(dtype), model.parameters()))
    assert honours_segments(model, 300)


def test_a_quantized_base_passes() -> None:
    model = tiny("qwen3")
    nn.quantize(model, group_size=64, bits=4)
    assert honours_segments(model, 300, way="blockwise")


@pytest.mark.parametrize("family", ["gpt2", "mamba"])
def test_learned_positions_and_states_do_not(family: str) -> None:
    assert not honours_segments(tiny(family), 300)


def test_scaling_by_absolute_position_shows_at_the_end_of_a_long_row() -> None:
    model = tiny("ministral3")
    assert honours_segments(model, 300, row_length=256)
    assert not honours_segments(model, 300, row_length=4096)


@pytest.mark.parametrize("row_length", [512, 16384])
def test_so_does_a_temperature_that_rises_slowly(row_length: int) -> None:
    settings = {**OTHERS["llama4"]["text_config"], "floor_scale": 8192}
    assert honours_segments(tiny("llama4", text_config=settings), 300, row_length=row_length) == (row_length < 8192)


@pytest.mark.parametrize("chunk", [7, 8192])
def test_chunks_are_believed_where_one_ends_in_the_models_own_mask(chunk: int) -> None:
    model = tiny("llama4", text_config={**OTHERS["llama4"]["text_config"], "attention_chunk_size": chunk})
    assert honours_alone(model, 300)
    assert honours_segments(model, 300)
    model.language_model.model.attention_chunk_size = chunk - 2
    assert not honours_alone(model, 300)
    assert not honours_segments(model, 300)


def test_a_model_that_packing_cannot_change_proves_nothing() -> None:
    model = tiny("qwen3")
    for layer in model.layers:
        layer.self_attn.o_proj.weight = mx.zeros_like(layer.self_attn.o_proj.weight)
    assert not honours_segments(model, 300)


def test_it_leaves_mode_and_random_state_alone() -> None:
    model = tiny("qwen3")
    model.layers[0].train()
    mx.random.seed(5)
    before = mx.random.uniform().item()
    mx.random.seed(5)
    assert honours_segments(model, 300)
    assert mx.random.uniform().item() == before
    assert model.layers[0].training
    assert not model.layers[1].training


def test_it_never_raises() -> None:
    class Odd(nn.Module):
        layers: Any = None

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("odd")

    assert not honours_segments(Odd(), 300)


@pytest.mark.parametrize("family", [*SAME, "gpt2", "mamba"])
def test_rows_of_one_example_may_go_blockwise_whatever_the_positions_and_states(family: str) -> None:
    assert honours_alone(tiny(family), 300)


def test_attention_that_is_its_own_is_left_alone() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(4, 4)]

        def __call__(self, ids: mx.array, cache: Any = None) -> mx.array:
            x = mx.broadcast_to(ids[:, None, :, None] / 300, (1, 1, ids.shape[1], 4))
            mask = "causal" if cache is None else cache[0].make_mask(ids.shape[1])
            return mx.fast.scaled_dot_product_attention(x, x, x, scale=1.0, mask=mask)[:, 0]

    assert not honours_alone(Own(), 300)


def test_a_state_that_runs_on_is_seen_without_a_weight() -> None:
    assert [family for family in (*SAME, "mamba") if keeps_states(tiny(family))] == ["mamba"]
