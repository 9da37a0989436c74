"""Models for benchmarks: real shapes with random weights, or a folder; and the work that a step of them takes."""

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map
from mlx_lm.models import qwen3

from tasks.batch import Batch
from tasks.lora import LoRA
from tasks.lora.attach import attach
from tasks.model import Model
from tasks.model.base import load_base

RANK, SCALE = 8, 20.0
STARTER = Path(__file__).resolve().parents[2] / "examples" / "starter" / "model"


def _qwen3(hidden: int, layers: int, inner: int, heads: int, kv: int, dim: int, vocab: int, tied: bool) -> Any:
    return qwen3.ModelArgs(
        model_type="qwen3",
        hidden_size=hidden,
        num_hidden_layers=layers,
        intermediate_size=inner,
        num_attention_heads=heads,
        rms_norm_eps=1e-6,
        vocab_size=vocab,
        num_key_value_heads=kv,
        max_position_embeddings=40960,
        rope_theta=1e6,
        head_dim=dim,
        tie_word_embeddings=tied,
    )


SHAPES = {
    "tiny": _qwen3(64, 2, 128, 4, 2, 64, 512, True),
    "0.6b": _qwen3(1024, 28, 3072, 16, 8, 128, 151936, True),
    "8b": _qwen3(4096, 36, 12288, 32, 8, 128, 151936, False),
}
"""Qwen3-0.6B and Qwen3-8B as their configs give them, and a toy of the same kind."""


def frozen_model(name: str, *, dtype: mx.Dtype = mx.bfloat16, bits: int | None = None, seed: int = 0) -> nn.Module:
    """A frozen model: a name of SHAPES (random weights), `starter`, or a folder.

    Args:
        dtype: of a random model; a folder keeps its own.
        bits: quantize it, in groups of 64.
    """
    if name not in SHAPES:
        model = load_base(Model(path=str(STARTER if name == "starter" else name), quantize=bits)).model  # type: ignore
        mx.eval(model.parameters())
        return model
    mx.random.seed(seed)
    model = qwen3.Model(SHAPES[name])
    model.update(tree_map(lambda a: a.astype(dtype), model.parameters()))
    for block in model.layers:  # one at a time, or 8B would pass through 32 GB
        mx.eval(block.parameters())
    if bits is not None:
        nn.quantize(model, 64, bits)
    mx.eval(model.parameters())
    model.freeze()
    mx.clear_cache()
    return model


def twin(model: nn.Module, name: str, bits: int | None = None) -> nn.Module:
    """A second model of the same weights: the arrays are shared, so that both sides hold them once."""
    if name not in SHAPES:
        other = load_base(Model(path=str(STARTER if name == "starter" else name), quantize=bits)).model  # type: ignore
    else:
        other = qwen3.Model(SHAPES[name])
        if bits is not None:
            nn.quantize(other, 64, bits)
    other.update(model.parameters())
    other.freeze()
    return other


def adapted(model: nn.Module) -> nn.Module:
    """The model with this project's LoRA layers on all linears."""
    attach(model, LoRA(rank=RANK, alpha=SCALE * RANK))
    mx.eval(model.parameters())
    return model


def useful_flops(name: str, batch: Batch) -> float:
    """What a LoRA step on this batch must compute at least, whatever the layout.

    4 per matmul parameter and real position below the head (forward, and backward to the inputs), the head's 4 at
    supervised positions only, attention inside each example: scores and values, causal, forward and twice backward.
    """
    args = SHAPES[name]
    heads, kv, dim = args.num_attention_heads, args.num_key_value_heads, args.head_dim
    block = args.hidden_size * dim * (2 * heads + 2 * kv) + 3 * args.hidden_size * args.intermediate_size
    real = float(batch.real_BT.sum())
    below = 4 * block * args.num_hidden_layers * real
    head = 4 * args.hidden_size * args.vocab_size * batch.supervised_tokens
    pairs = 0.0
    for segments, targets in zip(batch.segments_BT, batch.real_BT, strict=True):
        for segment in range(1, int(segments.max(initial=0)) + 1):
            n = float(targets[segments == segment].sum())
            pairs += n * (n + 1) / 2
    attention = 3 * 4 * dim * heads * args.num_hidden_layers * pairs
    return below + head + attention


def matmul_rate(size: int = 8192) -> float:
    """FLOP/s of a bfloat16 product of this size on random data, the best of three medians."""
    import time

    a, b = (mx.random.normal((size, size)).astype(mx.bfloat16) for _ in range(2))
    mx.eval(a, b)
    times = []
    for _ in range(20):
        mx.synchronize()
        start = time.perf_counter()
        for _ in range(4):
            mx.eval(a @ b)
        mx.synchronize()
        times.append((time.perf_counter() - start) / 4)
    return 2 * size**3 / sorted(times)[len(times) // 2]
