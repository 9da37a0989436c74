"""Gemma 2 goes blockwise while asked to, and is itself again afterwards."""

import mlx.core as mx
from mlx_lm.models import gemma2

from tasks.attention.capped import capped_attention
from tasks.attention.packed_cache import packed_cache
from tests.attention.families import apart, segments_of, tiny, tokens


def test_the_class_comes_back() -> None:
    model = tiny("gemma2")
    layer = model.layers[0].self_attn
    with capped_attention(model), capped_attention(model):
        assert type(layer) is not gemma2.Attention
        assert isinstance(layer, gemma2.Attention)
    assert type(layer) is gemma2.Attention


def test_the_cap_is_kept() -> None:
    model = tiny("gemma2", attn_logit_softcapping=0.5)
    for layer in model.layers:
        layer.self_attn.q_proj.weight = 8 * layer.self_attn.q_proj.weight
    with capped_attention(model):
        outs = [
            model(tokens(), cache=packed_cache(model, segments_of(), mx.float32, way=way))
            for way in ("mask", "blockwise")
        ]
    assert apart(outs[1], outs[0]) < 1e-5
