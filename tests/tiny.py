"""Tiny random models as real model folders with a byte tokenizer, and a small chat dataset: nothing is downloaded."""

import importlib
import json
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map

from tasks.lora import LoRA, Rule
from tasks.lora.attach import adapted_layers, attach

COMMON = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rms_norm_eps": 1e-6,
    "vocab_size": 320,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3": {"num_hidden_layers": 3},
    "qwen3_moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "moe_intermediate_size": 64,
        "norm_topk_prob": True,
    },
    "gemma3_text": {
        "num_hidden_layers": 3,
        "num_key_value_heads": 1,
        "sliding_window": 16,
        "sliding_window_pattern": 3,
        "query_pre_attn_scalar": 16,
    },
    "llama": {"tie_word_embeddings": False},
    "phi3": {},
    "gemma2": {"attn_logit_softcapping": 2.0, "query_pre_attn_scalar": 16},
    "lfm2": {
        "norm_eps": 1e-5,
        "conv_bias": False,
        "conv_L_cache": 3,
        "block_dim": 64,
        "block_ff_dim": 128,
        "block_multiple_of": 32,
        "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": False,
        "full_attn_idxs": [1],
        "layer_types": ["conv", "full_attention"],
    },
}
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END, TURN, END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"


def write_model(folder: Path, family: str, *, dtype: str = "float32", bits: int | None = None, seed: int = 0) -> Path:
    """A random model of a family with its tokenizer, in the layout that mlx-lm and transformers load."""
    config: dict[str, Any] = {**COMMON, **FAMILIES[family], "model_type": family, "eos_token_id": [256, 258]}
    module = importlib.import_module(f"mlx_lm.models.{family}")
    mx.random.seed(seed)
    model = module.Model(module.ModelArgs.from_dict(config))
    model.update(tree_map(lambda x: x.astype(getattr(mx, dtype)), model.parameters()))
    if bits is not None:
        nn.quantize(model, group_size=64, bits=bits)
        config["quantization"] = {"group_size": 64, "bits": bits}
    folder.mkdir(parents=True)
    mx.save_safetensors(str(folder / "model.safetensors"), arrays(model.parameters()), metadata={"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config))
    byte_tokenizer().save_pretrained(folder)
    return folder


def byte_tokenizer() -> Any:
    """A token for each byte, and three more. The end of a turn is an end only to the model's config, as with Gemma."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={piece: n for n, piece in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END, TURN, END_OF_TURN])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)
    fast.chat_template = CHATML
    return fast


def tiny_model(family: str = "qwen3", **changes: Any) -> Any:
    """A random model of a family, in memory alone."""
    module = importlib.import_module(f"mlx_lm.models.{family}")
    mx.random.seed(0)
    config = {**COMMON, **FAMILIES[family], **changes, "model_type": family}
    model = module.Model(module.ModelArgs.from_dict(config))
    model.eval()
    model.freeze()
    return model


def attach_random(model: nn.Module, rule: Rule | None = None, *, seed: int = 0, **options: Any) -> list[str]:
    """Attaches LoRA of rank 4 and strength 2, or as the options say, B away from zero; gives the layers' names."""
    names = attach(model, rule or LoRA(**{"rank": 4, "alpha": 8.0, **options}), seed)
    layers: Any = adapted_layers(model).values()
    for n, layer in enumerate(layers):
        layer.lora_b = 0.05 * mx.random.normal(layer.lora_b.shape, key=mx.random.key(100 + seed + n))
    return names


def token_ids(batch: int = 2, length: int = 12, seed: int = 0) -> mx.array:
    """Random token ids [batch, length]."""
    return mx.random.randint(0, 256, (batch, length), key=mx.random.key(seed))


def same(left: mx.array, right: mx.array) -> bool:
    """Whether two arrays are equal in shape, dtype and every value."""
    return left.dtype == right.dtype and bool(mx.array_equal(left, right))


def arrays(tree: Any) -> dict[str, mx.array]:
    """The arrays of a tree by their full name."""
    return dict(cast(list[tuple[str, mx.array]], tree_flatten(tree)))


def any_model(subject: Any) -> Any:
    """A subject's model, whose layers and projections no type checker knows."""
    return subject.model


def write_chat(path: Path, rows: int, start: int = 0) -> Path:
    """A chat dataset of arithmetic, its rows of several lengths, each another one."""
    with path.open("w") as file:
        for n in range(start, start + rows):
            asked = " + ".join(str(k) for k in range(n, n + 2 + n % 5))
            answer = str(sum(range(n, n + 2 + n % 5)))
            turns = [{"role": "user", "content": f"{asked}?"}, {"role": "assistant", "content": answer}]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path
