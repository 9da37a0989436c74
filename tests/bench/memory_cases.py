"""The configurations that the memory prediction is held against."""

from typing import Any, NamedTuple

from tasks.batch import AnyLayout, Bucketed, Packed, Padded
from tasks.memory import Memory

SIZES: dict[str, dict[str, Any]] = {
    "s": {"hidden_size": 256, "num_hidden_layers": 6, "intermediate_size": 768, "head_dim": 64, "vocab_size": 4096},
    "m": {"hidden_size": 512, "num_hidden_layers": 12, "intermediate_size": 1536, "head_dim": 64, "vocab_size": 32000},
    "l": {
        "hidden_size": 1024,
        "num_hidden_layers": 12,
        "intermediate_size": 3072,
        "head_dim": 128,
        "vocab_size": 32000,
    },
}
FAMILIES: dict[str, dict[str, Any]] = {
    "gemma3_text": {"sliding_window": 512, "sliding_window_pattern": 6, "query_pre_attn_scalar": 64},
    "qwen3_moe": {
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "moe_intermediate_size": 256,
        "norm_topk_prob": True,
    },
}


class Case(NamedTuple):
    """One configuration.

    Attributes:
        model: `starter`, a name of `tests.bench.shapes`, a folder, or family:size with random weights.
        length: of each row; None takes chat-like lengths up to `longest`.
    """

    model: str
    layout: AnyLayout
    memory: Memory = Memory()
    length: int | None = None
    longest: int = 1024
    rank: int = 8
    targets: tuple[str, ...] = ("all",)
    accumulate: int = 1
    bits: int | None = None
    dtype: str = "float32"
    steps: int = 3

    @property
    def name(self) -> str:
        """What differs from the defaults, in a line."""
        shown = [self.model, self.layout.kind, "x".join(str(v) for k, v in self.layout if k != "kind")]
        shown += [] if self.length is None else [f"rows of {self.length}"]
        plain = Memory().model_dump()
        shown += [f"{k}={v}" for k, v in self.memory.model_dump().items() if v != plain[k]]
        for key in ("rank", "targets", "accumulate", "bits", "dtype"):
            value = getattr(self, key)
            if value != Case._field_defaults[key]:
                shown.append(f"{key}={','.join(value) if isinstance(value, tuple) else value}")
        return " ".join(shown)

    def config(self, family: str, size: str) -> dict[str, Any]:
        """The config of a random model."""
        return {
            "num_attention_heads": 8,
            "num_key_value_heads": 2 if family == "gemma3_text" else 4,
            "rms_norm_eps": 1e-6,
            "max_position_embeddings": 32768,
            "rope_theta": 10000.0,
            "tie_word_embeddings": True,
            **SIZES[size],
            **FAMILIES.get(family, {}),
            "model_type": family,
        }


def _row(tokens: int, size: int = 1) -> Packed:
    return Packed(tokens=tokens, size=size)


CASES = (
    Case("starter", Bucketed(tokens=1024), longest=500),
    Case("starter", _row(1024), Memory(checkpoint="all"), longest=500),
    Case("starter", Padded(size=8), Memory(head_chunk=None), longest=500),
    Case("qwen3:s", _row(256), longest=256),
    Case("qwen3:s", _row(1024)),
    Case("qwen3:s", _row(4096), length=4096),
    Case("qwen3:s", _row(4096), Memory(checkpoint="all"), length=4096),
    Case("qwen3:s", _row(1024), Memory(checkpoint="all")),
    Case("qwen3:s", _row(1024), Memory(checkpoint="attention")),
    Case("qwen3:s", _row(1024), Memory(checkpoint="mlp")),
    Case("qwen3:s", _row(1024), Memory(checkpoint=2)),
    Case("qwen3:s", _row(512), rank=1),
    Case("qwen3:s", _row(512), rank=64),
    Case("qwen3:s", _row(512), targets=("q_proj", "v_proj")),
    Case("qwen3:s", _row(512), accumulate=4),
    Case("qwen3:s", _row(512, 4)),
    Case("qwen3:s", Padded(size=4), Memory(head_chunk=256), longest=512),
    Case("qwen3:s", _row(1024), Memory(base="quantized"), bits=4),
    Case("qwen3:s", _row(1024), Memory(base="dequantized"), bits=4),
    Case("qwen3:s", _row(512), bits=8, dtype="bfloat16", length=512, steps=2),
    Case("qwen3:s", _row(512), dtype="bfloat16", length=512, steps=2),
    Case("llama:s", Bucketed(tokens=2048)),
    Case("llama:m", _row(512), Memory(head_chunk=None)),
    Case("llama:m", _row(1024), Memory(checkpoint="all", head_chunk=128)),
    Case("gemma3_text:s", _row(1024)),
    Case("gemma3_text:s", Bucketed(tokens=1024), Memory(checkpoint="all")),
    Case("qwen3_moe:s", _row(1024)),
    Case("qwen3_moe:s", _row(512), Memory(checkpoint="mlp"), accumulate=2),
    Case("qwen3:s", _row(1024), Memory(limit_gb=0.28)),
    Case("qwen3:s", _row(512, 4), Memory(limit_gb=0.5, checkpoint="mlp")),
    Case("qwen3:m", _row(1024)),
    Case("qwen3:l", _row(512), Memory(checkpoint=3), rank=16, steps=2),
)
"""For a CPU: minutes."""

CUDA = (
    *(Case("0.6b", _row(2048, n), dtype="bfloat16", longest=2048, steps=4) for n in (1, 4)),
    Case("0.6b", _row(2048, 4), Memory(checkpoint="all"), dtype="bfloat16", longest=2048, steps=4),
    Case("0.6b", _row(2048, 4), Memory(checkpoint=2), dtype="bfloat16", longest=2048, steps=4),
    Case("0.6b", _row(2048, 2), Memory(checkpoint="mlp"), dtype="bfloat16", longest=2048, steps=4),
    Case("0.6b", _row(2048, 2), Memory(checkpoint="attention"), dtype="bfloat16", longest=2048, steps=4),
    Case("0.6b", _row(8192), dtype="bfloat16", length=8192, steps=3),
    Case("0.6b", _row(2048, 4), Memory(checkpoint="all", limit_gb=6), dtype="bfloat16", longest=2048, steps=4),
    Case("0.6b", Bucketed(tokens=4096), Memory(head_chunk=256), dtype="bfloat16", rank=64, longest=2048, steps=4),
    Case("0.6b", _row(2048, 2), accumulate=4, dtype="bfloat16", longest=2048, steps=2),
    Case("8b", _row(2048), Memory(base="quantized"), bits=4, dtype="bfloat16", longest=2048),
    Case("8b", _row(2048), Memory(base="dequantized"), bits=4, dtype="bfloat16", longest=2048),
    Case("8b", _row(4096), Memory(base="quantized", checkpoint="all"), bits=4, dtype="bfloat16", length=4096),
    Case("8b", _row(2048, 2), dtype="bfloat16", longest=2048),
)
"""For a GPU of 80 GB or more."""
