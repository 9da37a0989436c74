"""The indexer of DeepSeek 3.2, which picks the keys of each query, run a few queries at a time: O(L) memory, not L^2.

The picks are kept as numbers, [B, L, K], and attention goes blockwise over it. A row of up to K positions has all
its keys picked, and is latent attention like any other.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache as memoize
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.deepseek_v32 import Indexer

from tasks.attention.packed_cache import PackedCache
from tasks.attention.tiles import Band, Tile, visible
from tasks.device.backend import kind
from tasks.patch import other_class, wrapped

BUDGET = {"cpu": 2**20, "gpu": 2**24}
"""Scores at a time, over all rows and heads of the indexer: 4 and 64 MiB in float32."""


@contextmanager
def picked_keys(model: nn.Module) -> Iterator[None]:
    """Gives indexers a class that leaves their picks in our cache; undone at the end.

    Example:
        >>> with picked_keys(nn.Linear(2, 2)):  # no indexer: nothing happens
        ...     pass
    """
    with other_class(indexers(model), _picking):
        yield


@contextmanager
def fewer_picks(model: nn.Module, count: int) -> Iterator[None]:
    """Within the block indexers pick at most `count` keys, so that a short row shows what they do in a long one."""
    with ExitStack() as stack:
        for indexer in indexers(model):
            stack.enter_context(wrapped(indexer, "index_topk", lambda picks: min(count, picks)))
        yield


def indexers(model: nn.Module) -> list[nn.Module]:
    """The layers of a model that pick keys."""
    return [module for _, module in model.named_modules() if isinstance(module, Indexer)]


@memoize
def _picking(cls: type[Indexer]) -> type[Indexer]:
    if getattr(cls, "graftline_picking", False):
        return cls

    def call(self: Any, x: mx.array, qr: mx.array, mask: mx.array | None, cache: object = None) -> mx.array | None:
        if not isinstance(cache, PackedCache) or not cache.row.latent:
            return cls.__call__(self, x, qr, mask, cache)
        cache.keys, cache.values = x, x  # the model has them evaluated
        cache.picked = None if cache.row.length <= self.index_topk else _picks(self, x, qr, cache)
        return None

    body = {"__call__": call, "__module__": cls.__module__, "__doc__": cls.__doc__, "graftline_picking": True}
    return type(cls.__name__, (cls,), body)


def _picks(self: Any, x: mx.array, qr: mx.array, cache: PackedCache) -> mx.array:
    """The keys of each query, [B, L, K]: those of the highest scores among all that it may see."""
    B, L, _ = x.shape
    q = self.wq_b(qr).reshape(B, L, self.n_heads, self.head_dim).swapaxes(1, 2)
    k = self.k_norm(self.wk(x)).reshape(B, 1, L, self.head_dim)
    q, k = self.rope(q, offset=cache.offset), self.rope(k, offset=cache.offset)
    weights = (self.weights_proj(x) * (self.n_heads**-0.5 * self.softmax_scale)).swapaxes(-1, -2)[..., None]
    size = max(1, BUDGET[kind()] // (B * self.n_heads * L))
    picks: list[mx.array] = []
    for start in range(0, L, size):
        band = Band(start, min(start + size, L), ())
        few = slice(band.start, band.stop)
        products = mx.maximum(q[:, :, few] @ k.swapaxes(-1, -2), 0) * weights[:, :, few]
        scores = sum((products[:, n] for n in range(1, self.n_heads)), products[:, 0])
        allowed: Any = visible(band, Tile(0, L, partial=True), L, cache.row.segments_BL)
        scores = mx.where(allowed[:, 0, 0], scores, -mx.inf)
        order = mx.argpartition(scores, kth=-self.index_topk, axis=-1)
        picks.append(mx.contiguous(order[..., -self.index_topk :]))  # a slice would keep all [queries, L]
        q, k = mx.depends([q, k], [picks[-1]])  # or the scheduler starts all before it ends one
    return mx.stop_gradient(mx.concatenate(picks, axis=1))
