import importlib
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_map
from mlx_lm.tuner.lora import LoRALinear

from tasks.model.head import Head, find_head

SIZES: dict[str, Any] = {
    **{"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 96, "vocab_size": 112, "head_dim": 16},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "rope_theta": 1e4},
    **{
        "rms_norm_eps": 1e-6,
        "norm_eps": 1e-5,
        "layer_norm_eps": 1e-5,
        "layer_norm_epsilon": 1e-5,
        "norm_epsilon": 1e-5,
    },
    **{"n_embd": 64, "n_head": 4, "n_layer": 2, "n_ctx": 64, "n_positions": 64, "n_inner": 96, "multi_query": True},
    **{"rotary_emb_base": 10000, "rotary_pct": 0.25, "rotary_dim": 16, "partial_rotary_factor": 0.5},
    **{"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48},
    **{"decoder_sparse_step": 1, "mlp_only_layers": [], "norm_topk_prob": True, "moe_layer_freq": 1},
    **{"shared_expert_intermediate_size": 48, "n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1},
    **{"n_group": 1, "topk_group": 1, "routed_scaling_factor": 1.0, "topk_method": "noaux_tc"},
    **{"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 16, "qk_nope_head_dim": 16, "v_head_dim": 16},
    **{"linear_num_value_heads": 2, "linear_num_key_heads": 2, "linear_key_head_dim": 16, "linear_value_head_dim": 16},
    **{"linear_conv_kernel_dim": 4, "full_attention_interval": 2, "tie_word_embeddings": False},
    **{"num_heads": 4, "state_size": 16, "conv_kernel": 4, "expand": 2, "n_groups": 1, "time_step_rank": "auto"},
    **{"chunk_size": 8, "time_step_limit": (0.0, 100.0), "use_bias": False, "use_conv_bias": True},
    **{"attention_bias": False, "mlp_bias": False, "hidden_act": "silu", "activation_function": "silu"},
    **{"logits_scaling": 4.0, "embedding_multiplier": 2.0, "attention_multiplier": 0.25, "residual_multiplier": 0.5},
    **{"logit_scale": 0.25, "dim_model_base": 16, "scale_depth": 1.4, "scale_emb": 2.0},
    **{
        "use_qkv_bias": False,
        "rope_scaling": None,
        "query_pre_attn_scalar": 16,
        "sliding_window": 16,
        "sliding_window_pattern": 2,
    },
    **{"final_logit_softcapping": 5.0, "attn_logit_softcapping": 20.0},
}
SPECIAL: dict[str, dict[str, Any]] = {
    "exaone": {"num_layers": 2},
    "exaone4": {"sliding_window_pattern": "LG"},
    "gemma4_text": {
        **{"num_kv_shared_layers": 0, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 112},
        "tie_word_embeddings": True,
    },
    "gpt_oss": {"layer_types": ["sliding_attention", "full_attention"]},
    "lille-130m": {"block_size": 64, "n_kv_heads": 2},
    "llama4_text": {"intermediate_size_mlp": 96, "no_rope_layers": [1, 0], "use_qk_norm": True},
    "olmo3": {"layer_types": ["sliding_attention", "full_attention"]},
    "phi3small": {
        **{"dense_attention_every_n_layers": 1, "ff_intermediate_size": 96, "gegelu_limit": 20.0, "vocab_size": 100352},
    },
    "phixtral": {"num_vocab": 112, "model_dim": 64, "num_layers": 2},
    "recurrent_gemma": {
        **{
            "conv1d_width": 4,
            "logits_soft_cap": 5.0,
            "attention_window_size": 16,
            "block_types": ["recurrent", "attention"],
        },
    },
}

LM_HEAD = "model", "lm_head", 1.0, None
TIED = "model", "model.embed_tokens.as_linear", 1.0, None
UNDER = "language_model.model", "language_model.lm_head", 1.0, None
FOUND: dict[str, tuple[str, str, float, float | None]] = {
    **dict.fromkeys(["llama", "qwen2", "qwen3", "phi", "phi3", "starcoder2", "olmo2", "olmo3", "stablelm"], LM_HEAD),
    **dict.fromkeys(["qwen3_moe", "mixtral", "phimoe", "deepseek_v3", "gpt_oss", "glm4", "exaone4"], LM_HEAD),
    **dict.fromkeys(["qwen3_next", "gemma3_text", "smollm3", "seed_oss", "nemotron", "gptj", "plamo2"], LM_HEAD),
    **dict.fromkeys(["gemma3", "mistral3", "qwen3_5", "qwen3_vl", "kimi_vl"], UNDER),
    "gemma": TIED,
    "gpt2": ("model", "model.wte.as_linear", 1.0, None),
    "gpt_bigcode": ("transformer", "lm_head", 1.0, None),
    "exaone": ("transformer", "lm_head", 1.0, None),
    "internlm2": ("model", "output", 1.0, None),
    "llama4_text": ("model", "output", 1.0, None),
    "mamba": ("backbone", "lm_head", 1.0, None),
    "mamba2": ("backbone", "lm_head", 1.0, None),
    "cohere": (*TIED[:2], 0.25, None),
    "cohere2": (*TIED[:2], 0.25, None),
    "granite": (*LM_HEAD[:2], 0.25, None),
    "granitemoe": (*LM_HEAD[:2], 0.25, None),
    "minicpm": (*LM_HEAD[:2], 0.25, None),
    "gemma2": (*TIED[:2], 1.0, 5.0),
    "gemma4_text": (*TIED[:2], 1.0, 5.0),
    "recurrent_gemma": (*LM_HEAD[:2], 1.0, 5.0),
    "muse_glimmer": (*LM_HEAD[:2], 26**-0.5, 5.0),
    "nanochat": ("transformer", "lm_head", 1.0, 15.0),
}
WHOLE = ["gpt_neox", "lille-130m", "phixtral", "talkie", "phi3small"]
"""The head is inside the inner model, takes a mask that the model makes, is a bare array, or is edited afterwards."""


def tiny(family: str, **changes: Any) -> Any:
    """A random model of a family; every size that some family asks for is there, each takes what it knows."""
    module = importlib.import_module(f"mlx_lm.models.{family}")
    config = {**SIZES, **SPECIAL.get(family, {}), **changes, "model_type": family}
    mx.random.seed(0)
    model = module.Model(module.ModelArgs.from_dict({**config, "text_config": config}))
    model.eval()
    return model


def ids(seed: int = 3) -> mx.array:
    return mx.random.randint(0, 112, (2, 12), key=mx.random.key(seed))


def parts(head: Head | None) -> tuple[str, str, Any, float | None]:
    assert head is not None
    return head.inner, head.projection, pytest.approx(head.scale), head.cap


def gap(head: Head | None, model: Any) -> float:
    """The largest difference from the model's own logits, over the largest of them."""
    assert head is not None
    ours, theirs = head.logits(head.hidden(ids())), model(ids())
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    return float(np.array((mx.abs(ours - theirs).max() / mx.abs(theirs).max()).astype(mx.float32)))


@pytest.mark.parametrize("family", FOUND)
def test_the_head_of_a_family(family):
    model = tiny(family)
    head = find_head(model)
    assert parts(head) == FOUND[family]
    assert gap(head, model) < 1e-6


@pytest.mark.parametrize("family", WHOLE)
def test_a_family_without_a_clean_split(family):
    model = tiny(family)
    mx.eval(model(ids()))  # it works, and yet:
    assert find_head(model) is None


@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
@pytest.mark.parametrize("family", ["qwen3", "granite", "minicpm", "gemma2", "qwen3_vl"])
def test_tied_quantized_and_half_precision_heads(family, dtype, bits):
    model = tiny(family, tie_word_embeddings=family != "minicpm")
    model.update(tree_map(lambda x: x.astype(dtype), model.parameters()))
    if bits is not None:
        nn.quantize(model, group_size=32, bits=bits)
    head = find_head(model)
    assert parts(head)[1].endswith("lm_head" if family == "minicpm" else "model.embed_tokens.as_linear")
    assert gap(head, model) <= {mx.float32: 1e-5, mx.float16: 5e-3, mx.bfloat16: 2e-2}[dtype]


def test_a_cap_that_the_probe_hardly_feels_is_found():
    assert parts(find_head(tiny("gemma2", final_logit_softcapping=500.0)))[3] == 500.0
    assert parts(find_head(tiny("gemma2", final_logit_softcapping=1e6)))[3] == 1e6  # a tie: the config decides


def test_a_config_that_names_a_cap_or_scale_without_using_it_is_not_believed():
    model = tiny("qwen3")
    model.args.final_logit_softcapping, model.args.logit_scale = 30.0, 0.5
    assert parts(find_head(model)) == LM_HEAD


def test_a_projection_that_is_replaced_later_is_followed():
    model = tiny("llama")
    head = find_head(model)
    model.freeze()
    assert head is not None
    assert head.frozen
    nn.quantize(model, group_size=32, bits=4)
    assert gap(head, model) == 0
    model.lm_head = LoRALinear.from_base(model.lm_head, r=2)
    model.lm_head.lora_b = mx.ones_like(model.lm_head.lora_b)
    assert not head.frozen
    assert gap(head, model) == gap(find_head(model), model) == 0


def test_a_cache_reaches_the_inner_model():
    from mlx_lm.models.cache import make_prompt_cache

    model = tiny("llama")
    head, whole = find_head(model), model(ids())
    assert head is not None
    cache = make_prompt_cache(model)
    steps = mx.concatenate([head.hidden(ids()[:, :7], cache), head.hidden(ids()[:, 7:], cache)], axis=1)
    assert mx.allclose(head.logits(steps), whole, atol=1e-5).item()


def test_the_model_is_left_as_it_was():
    model = tiny("qwen3")
    model.train()
    model.model.norm.eval()
    state: Any = mx.random.state
    key = state[0].tolist()
    assert find_head(model) is not None
    assert state[0].tolist() == key
    assert (model.training, model.lm_head.training, model.model.norm.training) == (True, True, False)


def test_dropout_does_not_hide_the_head():
    model = tiny("qwen3")
    model.layers[0].self_attn.q_proj = LoRALinear.from_base(model.layers[0].self_attn.q_proj, r=2, dropout=0.5)
    model.layers[0].self_attn.q_proj.lora_b = mx.ones((2, 64))
    model.train()
    assert parts(find_head(model)) == LM_HEAD


class Strange(nn.Module):
    def __init__(self, error: type[Exception] | None = None):
        super().__init__()
        self.embed = nn.Embedding(8, 4)
        self.error = error

    def __call__(self, inputs: mx.array) -> Any:
        if self.error is not None:
            raise self.error("no")
        return mx.full((*inputs.shape, 8), float("nan"))


@pytest.mark.parametrize("model", [nn.Linear(2, 2), nn.Module(), Strange(), Strange(KeyError), Strange(RuntimeError)])
def test_none_for_what_is_no_language_model(model):
    assert find_head(model) is None


def test_the_gradient_of_the_hidden_states_passes_the_head():
    model = tiny("gemma2")
    head = find_head(model)
    assert head is not None
    h = head.hidden(ids())
    grad = mx.grad(lambda h: head.logits(h).square().sum())(h)
    assert grad.shape == h.shape
    assert grad.any().item()
