"""Routes a model's attention calls to the way that its packed cache asks for, for as long as a `with` lasts.

mlx-lm's models import `scaled_dot_product_attention` by name, so the name is replaced in the modules of this model's
classes. Only calls with a mask that one of our caches made, or that it is to make, take another path: other models of
the family notice nothing. `gated_delta_update` is replaced likewise: calls without an initial state go chunk by chunk,
unless MLX has a kernel for them on Metal.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from types import ModuleType
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.gated_delta import compute_g, compute_lower_bound_g

from tasks.attention.blockwise import blockwise_attention
from tasks.attention.capped import capped_attention
from tasks.attention.delta import gated_delta
from tasks.attention.method import trains_stock
from tasks.attention.packed_cache import PackedCache, SegmentMask
from tasks.attention.per_segment import split_attention
from tasks.attention.picked import picked_keys
from tasks.device.backend import backend
from tasks.patch import wrapped

NAME = "scaled_dot_product_attention"
DELTA = "gated_delta_update"


@contextmanager
def segment_attention(model: nn.Module) -> Iterator[None]:
    """Inside, `model(ids, cache=packed_cache(model, ..., way="blockwise"))` works, and `split` too.

    Keep it around the whole step, not in the loss: checkpointed blocks run again in the backward. A compiled step
    must be traced inside; what is replayed later needs no routing. May be nested, repeated, and left in any order.

    Example:
        >>> from mlx_lm.models import qwen3
        >>> args = qwen3.ModelArgs(model_type="qwen3", hidden_size=8, num_hidden_layers=1, intermediate_size=16,
        ...     num_attention_heads=2, rms_norm_eps=1e-6, vocab_size=32, num_key_value_heads=1,
        ...     max_position_embeddings=64, rope_theta=1e4, head_dim=4, tie_word_embeddings=True)
        >>> stock = qwen3.scaled_dot_product_attention
        >>> with segment_attention(qwen3.Model(args)):
        ...     qwen3.scaled_dot_product_attention is stock
        False
        >>> qwen3.scaled_dot_product_attention is stock
        True
    """
    with ExitStack() as stack:
        stack.enter_context(capped_attention(model))
        stack.enter_context(picked_keys(model))
        for name, routed in ((NAME, _routed), (DELTA, _chunked)):
            for module in attention_modules(model, name):
                stack.enter_context(wrapped(module, name, routed))
        yield


def attention_modules(model: nn.Module, called: str = NAME) -> list[ModuleType]:
    """The Python modules whose attention call, of this name, the model's classes use."""
    classes = {cls for _, module in model.named_modules() for cls in type(module).__mro__}
    names = sorted({cls.__module__ for cls in classes})
    return [module for name in names if (module := sys.modules.get(name)) and callable(getattr(module, called, None))]


def _routed(stock: Callable[..., mx.array]) -> Callable[..., mx.array]:
    @wraps(stock)
    def attention(
        queries: mx.array,
        keys: mx.array,
        values: mx.array,
        cache: Any,
        scale: float,
        mask: Any,
        sinks: mx.array | None = None,
    ) -> mx.array:
        picked = None
        if isinstance(cache, list) and all(isinstance(one, PackedCache) for one in cache):
            cache, picked = cache[0], cache[-1].picked  # the second is an indexer's
        if isinstance(cache, PackedCache) and cache.row.latent:
            rotary, shared = cache.rotary(mask)
            queries = mx.concatenate([queries, (rotary / scale).astype(queries.dtype)], axis=-1)
            keys, mask = mx.concatenate([keys, shared], axis=-1), SegmentMask(cache.row, None)
        if isinstance(cache, PackedCache) and cache.chunk is not None:
            mask = cache.make_mask(queries.shape[2])  # the model's own, [L, L], is never computed
        if not isinstance(mask, SegmentMask):
            return stock(queries, keys, values, cache, scale, mask, sinks)
        row, window, chunk = mask.row, mask.window, mask.chunk
        boundaries = row.cuts(chunk, len(queries)) if row.way in ("split", "causal") and picked is None else None
        if row.way == "causal" and picked is None and not row.passes(chunk):
            heads, sunk = (queries.shape[-1], values.shape[-1]), sinks is not None
            if trains_stock(backend(), row.length, heads, queries.dtype, window=window, sinks=sunk):
                return stock(queries, keys, values, cache, scale, "causal", sinks)
            if backend() != "cpu":
                boundaries = None
        if boundaries is not None:
            return split_attention(queries, keys, values, boundaries, scale=scale, window=window, sinks=sinks)
        reach = min((n for n in (window, chunk, row.longest) if n is not None), default=None)
        seen: dict[str, Any] = {"segments": row.segments(chunk), "window": reach, "picked": picked}
        return blockwise_attention(queries, keys, values, scale=scale, sinks=sinks, **seen)

    return attention


def _chunked(stock: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(stock)
    def update(
        q: mx.array,
        k: mx.array,
        v: mx.array,
        a: mx.array,
        b: mx.array,
        A_log: mx.array,
        dt_bias: mx.array,
        state: mx.array | None = None,
        mask: mx.array | None = None,
        *,
        use_kernel: bool = True,
        lower_bound: float | None = None,
        allow_neg_eigval: bool = False,
    ) -> tuple[mx.array, mx.array]:
        kernel = use_kernel and backend() == "metal"
        if kernel or state is not None or mask is not None:
            options: dict[str, Any] = {"lower_bound": lower_bound, "allow_neg_eigval": allow_neg_eigval}
            return stock(q, k, v, a, b, A_log, dt_bias, state, mask, use_kernel=use_kernel, **options)
        g = compute_g(A_log, a, dt_bias)
        if lower_bound is not None:
            g = compute_lower_bound_g(A_log, a, dt_bias, lower_bound)
        return gated_delta(q, k, v, g, mx.sigmoid(b) * (2.0 if allow_neg_eigval else 1.0))

    return update
