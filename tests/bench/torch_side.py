"""PyTorch + PEFT as a side of a benchmark: a transformers Qwen3 of the same weights, LoRA of the same rank.

In its favour: adapters in bfloat16, so that nothing is cast (unless float32 is asked for); a fused AdamW; and for
packed rows the head at supervised positions only. Attention inside segments is one of `mask` (SDPA, an array of
bools), `flex` (a block mask) and `varlen` (flash attention over all segments of the step as one row).
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
import time
from collections.abc import Iterator
from typing import Any, Literal

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import torch
import torch.nn.functional as F
from mlx.utils import tree_flatten

from tasks.batch import Batch, Layout, batches
from tests.bench.rows import BenchRows
from tests.bench.shapes import RANK, SCALE, SHAPES

Way = Literal["stock", "mask", "flex", "varlen"]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LONGEST = 2048
SEGMENTS = 128
"""Boundaries of a step are filled up to so many, so that compiled code sees one shape."""

_now: dict[str, Any] = {"way": "stock", "held": None}


def peft_model(name: str, base: nn.Module, *, masters: bool = False) -> Any:
    """The shape `name` in transformers, with the weights of `base`, frozen, under PEFT's LoRA on all linears.

    Args:
        masters: adapters in float32 under autocast, as PEFT and the transformers Trainer make them.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3Config, Qwen3ForCausalLM
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register("bench", _attention)
    args = SHAPES[name]
    names = ["hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "num_key_value_heads"]
    names += ["head_dim", "rms_norm_eps", "vocab_size", "max_position_embeddings", "tie_word_embeddings"]
    config = Qwen3Config(**{key: getattr(args, key) for key in names}, use_cache=False)
    config.rope_parameters = {"rope_type": "default", "rope_theta": args.rope_theta}
    config._attn_implementation = "sdpa"
    with torch.device(DEVICE):
        model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    weights: Any = tree_flatten(base.parameters())
    state = {
        key: torch.from_numpy(np.array(array.astype(mx.float32))).to(torch.bfloat16)
        for key, array in weights
        if "lora_" not in key
    }
    state = {key.replace(".linear.", "."): value for key, value in state.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert set(missing) <= {"lm_head.weight"}, missing
    assert not unexpected, unexpected
    model.tie_weights()
    linears = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    lora = LoraConfig(r=RANK, lora_alpha=int(SCALE * RANK), target_modules=linears, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, lora, autocast_adapter_dtype=False)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32 if masters else torch.bfloat16)
    return adapted.train()


def _attention(module: Any, q: Any, k: Any, v: Any, mask: Any, scaling: float, **_: Any) -> tuple[Any, None]:
    held = _now["held"]
    if _now["way"] == "varlen":
        from torch.nn.attention.varlen import varlen_attn

        rows = [x.squeeze(0).transpose(0, 1) for x in (q, k, v)]
        if "enable_gqa" in varlen_attn.__kwdefaults__:
            out = varlen_attn(*rows, held, held, LONGEST, LONGEST, scale=scaling, window_size=(-1, 0), enable_gqa=True)
        else:
            out = varlen_attn(*rows, held, held, LONGEST, LONGEST, scale=scaling, window_size=(-1, 0))
        return out.unsqueeze(0), None
    if _now["way"] == "flex":
        out = _flex()(q, k, v, block_mask=held, scale=scaling, enable_gqa=True)
        return out.transpose(1, 2), None
    groups = q.shape[1] // k.shape[1]
    k, v = (x.repeat_interleave(groups, dim=1) for x in (k, v))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=held, scale=scaling)
    return out.transpose(1, 2), None


_compiled: dict[str, Any] = {}


def _flex() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    if torch.compiler.is_compiling():
        return flex_attention
    if "flex" not in _compiled:
        _compiled["flex"] = torch.compile(flex_attention, dynamic=False)
    return _compiled["flex"]


class TorchSide:
    """A step of the PEFT model under a layout.

    Args:
        model: what `peft_model` gave; sides may share one.
        way: `stock` is transformers as it is, one example a row, its own loss over all positions.
        compile: by torch.compile, each block and the head, which takes a tenth of the time of compiling all in one.
    """

    def __init__(self, model: Any, rows: BenchRows, layout: Layout, way: Way, *, compile: bool = False):
        self.model, self.rows, self.layout, self.way = model, rows, layout, way
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-5, weight_decay=0.01, fused=DEVICE == "cuda")
        found = list(batches(rows, layout, seed=0))
        most = max(b.real_BT.mean() for b in found)
        self.timed = [b for b in found if way == "stock" or b.real_BT.mean() >= 0.75 * most]
        self.filled = max(b.supervised_tokens for b in found)
        self.filled = -(-self.filled // 256) * 256
        self.compile = compile
        self.masters = self.trained[0].dtype == torch.float32
        self.head = torch.compile(_head_loss, dynamic=False) if compile else _head_loss
        if compile:
            for layer in model.get_base_model().model.layers:
                layer.compile(dynamic=False)

    def round(self) -> tuple[int, float]:
        """Trains on each batch; (real tokens, seconds)."""
        tokens, unread = 0, None
        _sync()
        start = time.perf_counter()
        for batch in self.timed:
            with torch.autocast(DEVICE, torch.bfloat16, enabled=self.masters):
                total, count = self._loss(batch)
            (total / count).backward()
            torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if unread is not None:
                unread.item()
            unread, tokens = total.detach(), tokens + batch.tokens
        _sync()
        return tokens, time.perf_counter() - start

    def loss(self, rows: BenchRows) -> tuple[float, int]:
        """(the mean loss of these rows, their targets)."""
        total = targets = 0
        with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16, enabled=self.masters):
            for batch in batches(rows, self.layout, seed=0):
                one, count = self._loss(batch)
                total, targets = total + float(one), targets + int(count)
        return total / targets, targets

    def reset(self) -> None:
        """Starts a new peak, with the cache given back."""
        mx.clear_cache()
        if DEVICE == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int:
        """The peak since, bytes."""
        return torch.cuda.max_memory_allocated() if DEVICE == "cuda" else 0

    def leave(self) -> None:
        """Gives the cache back to whoever comes next."""
        if DEVICE == "cuda":
            torch.cuda.empty_cache()

    def _loss(self, batch: Batch) -> tuple[Any, int]:
        inner = self.model.get_base_model()
        inner.config._attn_implementation = inner.model.config._attn_implementation = (
            "sdpa" if self.way == "stock" else "bench"
        )
        for layer in inner.model.layers:
            layer.self_attn.config._attn_implementation = inner.config._attn_implementation
        _now["way"] = self.way
        ids = torch.from_numpy(batch.inputs_BT).long().to(DEVICE, non_blocking=True)
        if self.way == "stock":
            # transformers shifts labels itself, so that the last target of each row needs a place of its own.
            ids = F.pad(ids, (0, 1))
            rows = torch.arange(len(ids), device=DEVICE)
            last = torch.from_numpy(batch.real_BT.sum(1)).long().to(DEVICE)
            targets = torch.from_numpy(batch.targets_BT).long().to(DEVICE)
            ids[rows, last] = targets[rows, last - 1]
            weights = F.pad(torch.from_numpy(batch.weights_BT).to(DEVICE), (1, 0))
            labels = torch.where(weights > 0, ids, -100)
            seen = (torch.arange(ids.shape[1], device=DEVICE) <= last[:, None]).long()
            mean = self.model(input_ids=ids, attention_mask=seen, labels=labels).loss
            return mean * batch.supervised_tokens, batch.supervised_tokens
        index = np.zeros(self.filled, np.int64)
        counted = np.flatnonzero(batch.weights_BT)
        index[: len(counted)] = counted
        weights = batch.weights_BT.reshape(-1)[index]
        weights[len(counted) :] = 0
        targets = batch.targets_BT.reshape(-1)[index]
        if self.way == "varlen":
            ids = ids.reshape(1, -1)
        _now["held"] = self._held(batch)
        arrays = [torch.from_numpy(np.ascontiguousarray(a)).to(DEVICE) for a in (index, targets, weights)]
        return self._packed_loss(ids, *arrays), batch.supervised_tokens

    def _packed_loss(self, ids: Any, index: Any, targets: Any, weights: Any) -> Any:
        inner = self.model.get_base_model()
        hidden = inner.model(input_ids=ids, use_cache=False).last_hidden_state
        return self.head(hidden, inner.lm_head.weight, index, targets, weights)

    def _held(self, batch: Batch) -> Any:
        segments = torch.from_numpy(batch.segments_BT).to(DEVICE)
        if self.way == "varlen":
            width = batch.segments_BT.shape[1]
            starts = [r * width + at for r, row in enumerate(batch.segments_BT) for at in _starts(row)]
            held = np.full(SEGMENTS, batch.segments_BT.size, np.int32)
            assert len(starts) < SEGMENTS
            held[: len(starts)] = starts
            return torch.from_numpy(held).to(DEVICE)
        if self.way == "flex":
            from torch.nn.attention.flex_attention import create_block_mask

            B, L = segments.shape

            def allowed(b: Any, h: Any, q: Any, k: Any) -> Any:
                return (segments[b, q] == segments[b, k]) & (q >= k)

            if "block_mask" not in _compiled:
                _compiled["block_mask"] = torch.compile(create_block_mask)
            return _compiled["block_mask"](allowed, B, None, L, L, device=DEVICE)
        causal = torch.ones(segments.shape[1], segments.shape[1], dtype=torch.bool, device=DEVICE).tril()
        return ((segments[:, :, None] == segments[:, None]) & causal)[:, None]


def _head_loss(hidden: Any, weight: Any, index: Any, targets: Any, weights: Any) -> Any:
    logits = F.linear(hidden.reshape(-1, hidden.shape[-1])[index], weight)
    losses = F.cross_entropy(logits.float(), targets.long(), reduction="none")
    return (losses * weights).sum()


def _starts(segments_T: np.ndarray) -> Iterator[int]:
    yield 0
    yield from (int(i) + 1 for i in np.flatnonzero(np.diff(segments_T)))


def _sync() -> None:
    mx.synchronize()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
