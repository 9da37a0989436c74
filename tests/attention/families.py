"""Tiny models of the families whose attention differs, one row of packed segments, and a loss to differentiate."""

import importlib
from itertools import pairwise
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from tasks.attention import Way, packed_cache, segment_attention
from tests.tiny import COMMON, FAMILIES

STARTS = [[0, 9, 30, 31, 44], [0, 20, 33, 44]]
"""Two rows of 44 positions; the last segment of each is padding. One is a single position, one passes the window."""

OTHERS: dict[str, dict[str, Any]] = {
    "gpt_oss": {
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "sliding_window": 7,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "deepseek_v32": {
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 16,
        "v_head_dim": 16,
        "index_head_dim": 32,
        "index_n_heads": 16,  # as few as 4 give keys of equal score, of which any may be picked
        "index_topk": 6,
    },
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_ctx": 64, "n_positions": 64, "layer_norm_epsilon": 1e-5},
    "mamba": {"state_size": 8, "conv_kernel": 4, "use_bias": False, "use_conv_bias": True, "time_step_rank": 4},
    "llama4": {
        "text_config": {
            **COMMON,
            "model_type": "llama4_text",
            "num_hidden_layers": 4,  # the fourth is global, without positions
            "attention_bias": False,
            "attention_chunk_size": 7,
            "interleave_moe_layer_step": 2,
            "intermediate_size_mlp": 128,
            "num_experts_per_tok": 1,
            "num_local_experts": 4,
            "rope_scaling": None,
            "use_qk_norm": True,
        }
    },
    "ministral3": {
        "rope_parameters": {
            "rope_theta": 1e4,
            "rope_type": "default",
            "llama_4_scaling_beta": 1.0,
            "original_max_position_embeddings": 256,
        }
    },
}
SAME = ("qwen3", "llama", "qwen3_moe", "gemma3_text", "gemma2", "gpt_oss", "llama4", "deepseek_v32")
"""Dense, dense untied, experts, a window shorter than a segment, capped scores, sinks, chunks, keys that are picked."""


def tiny(family: str, **changes: Any) -> Any:
    """A random model in float32, its attention sharp enough for a leak to show."""
    module = importlib.import_module(f"mlx_lm.models.{family}")
    mx.random.seed(0)
    config = {**COMMON, **FAMILIES.get(family, {}), **OTHERS.get(family, {}), **changes, "model_type": family}
    if family == "gemma3_text":
        config["sliding_window"] = 7
    model = module.Model(module.ModelArgs.from_dict(config))
    for _, layer in model.named_modules():
        if "sinks" in layer:
            layer.sinks = mx.random.normal(layer.sinks.shape)
    model.eval()
    return model


def llama4(**changes: Any) -> Any:
    """A random llama4 whose chunks are longer than any row here."""
    text = {
        **COMMON,
        "model_type": "llama4_text",
        "num_experts_per_tok": 1,
        "num_local_experts": 2,
        "attention_chunk_size": 8192,
        "interleave_moe_layer_step": 2,
        "intermediate_size_mlp": 384,
        "use_qk_norm": True,
        "rope_scaling": None,
        "attention_bias": False,
        **changes,
    }
    model = tiny("llama4", text_config=text)
    model.freeze()
    return model


def segments_of(starts: list[list[int]] = STARTS) -> mx.array:
    """Segment ids int32 [rows, L]."""
    return mx.array([[n for n, (a, b) in enumerate(pairwise(row)) for _ in range(a, b)] for row in starts])


def tokens() -> mx.array:
    """Token ids [2, 44]."""
    return mx.random.randint(0, 300, (len(STARTS), STARTS[0][-1]), key=mx.random.key(7))


def packed_loss(model: nn.Module, ids_BL: mx.array, segments_BL: mx.array, way: Way) -> tuple[mx.array, mx.array]:
    """(a loss over all positions but the last segment's, logits) of packed rows."""
    with segment_attention(model):
        cache = packed_cache(model, segments_BL, mx.float32, way=way, boundaries=STARTS)
        logits = model(ids_BL, cache=cache)
    real = mx.array([[at < row[-2] for at in range(row[-1])] for row in STARTS])
    return (surprise(logits, ids_BL) * real).sum(), logits


def single_loss(model: nn.Module, ids_BL: mx.array) -> tuple[mx.array, list[mx.array]]:
    """The same from a call for each segment."""
    total, outputs = mx.array(0.0), []
    for n, row in enumerate(STARTS):
        for a, b in pairwise(row[:-1]):
            logits = model(ids_BL[n : n + 1, a:b])
            total = total + surprise(logits, ids_BL[n : n + 1, a:b]).sum()
            outputs.append(logits)
    return total, outputs


def surprise(logits: mx.array, ids: mx.array) -> mx.array:
    """-log p of the ids at their own positions: no shift, so that it is one number a position."""
    return mx.logsumexp(logits, axis=-1) - mx.take_along_axis(logits, ids[..., None], axis=-1)[..., 0]


def apart(left: mx.array, right: mx.array) -> float:
    """The distance of two arrays relative to the right one, in norm."""
    a, b = np.array(left), np.array(right)
    return float(np.linalg.norm(a - b) / (np.linalg.norm(b) + 1e-30))
