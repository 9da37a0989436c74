"""Blockwise attention for Gemma 2, which caps its scores and so stores [B, H, L, L] in every layer by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache as memoize
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models import gemma2

from tasks.attention.blockwise import blockwise_attention
from tasks.attention.packed_cache import PackedCache
from tasks.patch import other_class


@contextmanager
def capped_attention(model: nn.Module) -> Iterator[None]:
    """Gives Gemma 2's attention layers a class that goes blockwise when their cache says so; undone at the end.

    Example:
        >>> with capped_attention(nn.Linear(2, 2)):  # not Gemma 2: nothing happens
        ...     pass
    """
    layers = [module for _, module in model.named_modules() if isinstance(module, gemma2.Attention)]
    with other_class(layers, _blockwise):
        yield


@memoize
def _blockwise(cls: type[gemma2.Attention]) -> type[gemma2.Attention]:
    if getattr(cls, "graftline_blockwise", False):
        return cls

    def call(self: Any, x: mx.array, mask: mx.array | None = None, cache: object = None) -> mx.array:
        if not isinstance(cache, PackedCache) or cache.row.way == "mask":
            return cls.__call__(self, x, mask, cache)
        B, L, _ = x.shape

        def heads(projected: mx.array, n: int) -> mx.array:
            return projected.reshape(B, L, n, -1).transpose(0, 2, 1, 3)

        q, k = heads(self.q_proj(x), self.n_heads), heads(self.k_proj(x), self.n_kv_heads)
        q, k = self.rope(q, offset=cache.offset), self.rope(k, offset=cache.offset)
        k, v = cache.update_and_fetch(k, heads(self.v_proj(x), self.n_kv_heads))
        row = cache.row
        out = blockwise_attention(
            q,
            k,
            v,
            scale=self.scale,
            segments=row.segments_BL,
            window=row.longest,
            cap=self.attn_logit_softcapping,
        )
        return self.o_proj(out.transpose(0, 2, 1, 3).reshape(B, L, -1))

    body = {"__call__": call, "__module__": cls.__module__, "__doc__": cls.__doc__, "graftline_blockwise": True}
    return type(cls.__name__, (cls,), body)
