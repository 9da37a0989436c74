"""Tiny random models with LoRA-like trainables, for checking gradients through real blocks."""

import importlib
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten
from mlx_lm.tuner.lora import LoRALinear

from tests.loss.golden import named_arrays

COMMON = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 1e-6,
    "vocab_size": 40,
    "max_position_embeddings": 128,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}
SPECIAL = {"gemma3_text": {"sliding_window": 4, "sliding_window_pattern": 2, "query_pre_attn_scalar": 8}}


def tiny_model(model_type: str = "qwen3", quantized: bool = False, **changes: int) -> Any:
    """A random model of a family of mlx-lm, LoRA on q and v, both factors away from zero."""
    mx.random.seed(0)
    module = importlib.import_module(f"mlx_lm.models.{model_type}")
    config = {**COMMON, **SPECIAL.get(model_type, {}), "model_type": model_type, **changes}
    model = module.Model(module.ModelArgs.from_dict(config))
    if quantized:
        nn.quantize(model, group_size=32, bits=4, class_predicate=lambda _, m: isinstance(m, nn.Linear) and _fits(m))
    model.freeze()
    for layer in model.layers:
        for name in ("q_proj", "v_proj"):
            lora = LoRALinear.from_base(layer.self_attn[name], r=4, scale=2.0)
            lora.lora_b = 0.05 * mx.random.normal(lora.lora_b.shape)
            setattr(layer.self_attn, name, lora)
    mx.eval(model.parameters())
    return model


def _fits(linear: nn.Linear) -> bool:
    return linear.weight.shape[-1] % 32 == 0


def sample_ids(batch: int = 2, length: int = 9) -> mx.array:
    return mx.random.randint(0, COMMON["vocab_size"], (batch, length), key=mx.random.key(7))


def flat_parameters(model: nn.Module) -> list[mx.array]:
    return list(named_arrays(model.trainable_parameters()).values())


def logits_of(model: nn.Module, ids: mx.array) -> Callable[..., mx.array]:
    """The logits as a function of the trainable parameters, flat."""
    names = list(named_arrays(model.trainable_parameters()))

    def logits(*parameters: mx.array) -> mx.array:
        held = model.trainable_parameters()
        model.update(tree_unflatten(list(zip(names, parameters, strict=True))))
        try:
            return model(ids)
        finally:
            model.update(held)

    return logits
