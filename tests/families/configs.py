"""Configurations of every family of mlx-lm that can be built tiny: the names that families share, and what one adds."""

import dataclasses
import importlib
import pkgutil
from typing import Any

import mlx.core as mx
import mlx_lm.models

SHARED: dict[str, Any] = {
    "hidden_size": 64,
    "dim": 64,
    "d_model": 64,
    "n_embd": 64,
    "n_embed": 64,
    "embedding_dim": 64,
    "model_dim": 64,
    "num_hidden_layers": 2,
    "n_layers": 2,
    "n_layer": 2,
    "num_layers": 2,
    "num_transformer_layers": 2,
    "intermediate_size": 128,
    "ffn_hidden_size": 128,
    "mlp_hidden_size": 128,
    "d_ff": 128,
    "ff_dim": 128,
    "hidden_dim": 128,
    "ffn_dim": 128,
    "num_attention_heads": 4,
    "n_heads": 4,
    "n_head": 4,
    "num_heads": 4,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "n_kv_heads": 2,
    "num_kv_heads": 2,
    "multi_query_group_num": 2,
    "head_dim": 16,
    "kv_channels": 16,
    "rms_norm_eps": 1e-06,
    "norm_eps": 1e-06,
    "layer_norm_eps": 1e-05,
    "layer_norm_epsilon": 1e-05,
    "layernorm_epsilon": 1e-05,
    "norm_epsilon": 1e-05,
    "vocab_size": 320,
    "padded_vocab_size": 320,
    "embedding_size": 320,
    "max_position_embeddings": 512,
    "n_ctx": 512,
    "n_positions": 512,
    "max_seq_len": 512,
    "seq_length": 512,
    "max_sequence_length": 512,
    "rope_theta": 10000.0,
    "rope_base": 10000,
    "rope_traditional": False,
    "rotary_emb_base": 10000,
    "rotary_pct": 0.5,
    "partial_rotary_factor": 0.5,
    "rotary_dim": 8,
    "rope_dim": 8,
    "rope_freq_base": 10000.0,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "mlp_bias": False,
    "use_bias": False,
    "bias": False,
    "qkv_bias": False,
    "use_qkv_bias": False,
    "add_qkv_bias": False,
    "sliding_window": 16,
    "sliding_window_pattern": 2,
    "window_size": 16,
    "attention_window_size": 16,
    "query_pre_attn_scalar": 16,
    "attn_logit_softcapping": 2.0,
    "final_logit_softcapping": 2.0,
    "num_experts": 4,
    "n_routed_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "num_experts_per_token": 2,
    "moe_intermediate_size": 64,
    "shared_expert_intermediate_size": 64,
    "n_shared_experts": 1,
    "num_shared_experts": 1,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "norm_topk_prob": True,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 16,
    "v_head_dim": 16,
    "index_head_dim": 32,
    "index_n_heads": 16,
    "index_topk": 6,
    "state_size": 8,
    "conv_kernel": 4,
    "use_conv_bias": True,
    "time_step_rank": 4,
    "mamba_d_state": 8,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_n_heads": 8,
    "mamba_d_head": 16,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 8,
    "logits_scaling": 1.0,
    "embedding_multiplier": 1.0,
    "attention_multiplier": 0.25,
    "residual_multiplier": 1.0,
    "logit_scale": 1.0,
    "scale_emb": 1.0,
    "scale_depth": 1.0,
    "dim_model_base": 64,
    "hidden_act": "silu",
    "hidden_activation": "silu",
    "activation": "silu",
    "norm_type": "rms",
    "time_step_limit": (0.0, 1000000000.0),
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_conv_kernel_dim": 4,
    "full_attention_interval": 2,
    "conv_bias": False,
    "conv_L_cache": 3,
    "block_dim": 64,
    "block_ff_dim": 128,
    "block_multiple_of": 32,
    "block_ffn_dim_multiplier": 1.0,
    "block_auto_adjust_ff_dim": False,
    "full_attn_idxs": [1],
}
"""A value for each name that a configuration of some family has; a family takes those that it knows."""

MORE: dict[str, dict[str, Any]] = {
    "afmoe": {"layer_types": ["sliding_attention", "full_attention"]},
    "apertus": {"post_norm": True, "qk_norm": True},
    "baichuan_m1": {"sliding_window_layers": [0], "conv_window": 2},
    "ernie4_5_moe": {"moe_num_experts": 4, "moe_k": 2, "moe_layer_start_index": 1},
    "exaone4": {"rope_scaling": None},
    "glm4_moe": {"rope_scaling": None, "use_qk_norm": True},
    "gpt_bigcode": {"n_inner": 128},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "lfm2_moe": {"use_expert_bias": True, "num_dense_layers": 1, "layer_types": ["conv", "full_attention"]},
    "lille-130m": {"block_size": 512},
    "mamba2": {"n_groups": 1, "num_heads": 8, "head_dim": 16, "expand": 2, "hidden_size": 64},
    "minimax": {"shared_intermediate_size": 64},
    "minicpm3": {"rope_scaling": None},
    "ministral3": {
        "rope_parameters": {
            "rope_theta": 1e4,
            "rope_type": "default",
            "llama_4_scaling_beta": 1.0,
            "original_max_position_embeddings": 256,
        }
    },
    "olmo3": {"layer_types": ["sliding_attention", "full_attention"]},
    "plamo": {"n_shared_head": 2, "num_key_value_heads": 2},
    "recurrent_gemma": {
        "conv1d_width": 4,
        "logits_soft_cap": 30.0,
        "lru_width": 64,
        "block_types": ["recurrent", "attention"],
        "attention_window_size": 16,
    },
    "gemma4_text": {"layer_types": ["sliding_attention", "full_attention"]},
    "spark2_5": {"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}},
    "nemotron_h": {
        "mamba_num_heads": 8,
        "mamba_head_dim": 16,
        "mamba_proj_bias": False,
        "ssm_state_size": 8,
        "n_groups": 1,
        "mamba_hidden_act": "silu",
        "hybrid_override_pattern": ["M", "*"],
    },
}
"""What a family wants beside them."""


NO_MODELS = {
    *("base", "cache", "activations", "gated_delta", "mla", "olmo", "pipeline", "rope_utils", "ssm", "switch_layers"),
    *("bitlinear_layers",),
}
"""Modules that hold layers; and `olmo`, whose import ends the process."""


def names() -> list[str]:
    """The modules of mlx-lm's models, sorted; some of them define no model of their own."""
    return sorted(info.name for info in pkgutil.iter_modules(mlx_lm.models.__path__) if info.name not in NO_MODELS)


def config_of(family: str) -> dict[str, Any]:
    """The configuration of a tiny model, as its config.json has it."""
    module = importlib.import_module(f"mlx_lm.models.{family}")
    known = {field.name for field in dataclasses.fields(module.ModelArgs)}
    config = {name: value for name, value in SHARED.items() if name in known} | MORE.get(family, {})
    if "text_config" in known:
        config["text_config"] = {**SHARED, "model_type": family}
    return {**config, "model_type": family, "eos_token_id": [256, 258]}


def build(family: str) -> Any:
    """A random model of a family; raises what its constructor or its first call raises."""
    module = importlib.import_module(f"mlx_lm.models.{family}")
    mx.random.seed(0)
    model = module.Model(module.ModelArgs.from_dict(config_of(family)))
    mx.eval(model(mx.array([[1, 2, 3, 4, 5]])))
    return model
