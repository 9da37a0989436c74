"""A cache that makes an unmodified mlx-lm model attend inside the segments of a packed row.

Every model asks its cache for the mask (`create_attention_mask` -> `cache.make_mask`), so a cache that stores nothing
and answers "causal, same segment, inside the window" is all it takes. Positions need no reset: rotary embeddings
see differences only. `honours_segments` tests whether a model really keeps to the mask.
"""

# Shapes: B rows, L positions, H heads, R columns of the rotary part of latent attention.
#
# Why a cache and not an argument: mlx-lm's models take no mask, but each asks `cache.make_mask` for one, passes on
# whatever it gets, and hands keys and values to `cache.update_and_fetch`. Everything here answers those two calls.
# `make_mask` gives an array where the stock attention is to use it, and else a SegmentMask: a string for the model, a
# note for `segment_attention`, which has replaced the attention function that it arrives at.

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import CacheList, ChunkedKVCache, make_prompt_cache

from tasks.attention.method import Way, choose_way
from tasks.attention.packed_row import PackedRow, SegmentMask
from tasks.device.backend import backend
from tasks.errors import ModelError
from tasks.model.causal_lm import Caches
from tasks.model.family import model_type


class PackedCache:
    """The cache of one layer: it keeps the last keys and values for layers that share them, and no history.

    Attributes:
        row: the segments and masks that the layers of a call share.
        offset: the position of the first token.
        chunk: positions after which attention begins anew (llama4, whose models mask chunks by themselves), or None.
        shared: whether later layers may read this one's keys and values.
        picked: int [B, L, K], the keys that each query may see at most, where an indexer left its picks here; None.
    """

    def __init__(self, row: PackedRow, offset: int = 0, chunk: int | None = None) -> None:
        self.row, self.offset, self.chunk, self.shared = row, offset, chunk, row.shared
        self.keys: mx.array | None = None
        self.values: mx.array | None = None
        self.picked: mx.array | None = None

    def make_mask(
        self, N: int, return_array: bool = False, window_size: int | None = None
    ) -> mx.array | SegmentMask | None:
        """The mask for N positions. A model that asks for an array does attention by itself, and gets one of bools.

        None for latent attention, which would use it on scores of its own.

        Raises:
            ValueError: N is not the length of the packed rows.
        """
        if self.row.length != N:
            raise ValueError(f"the model asks for a mask of {N} positions, the rows have {self.row.length}")
        if return_array:
            return None if self.row.latent else self.row.mask(window_size, self.chunk, additive=False)
        near = window_size is not None and window_size < N
        if self.row.way == "mask" or (self.row.way == "causal" and near and choose_way(N, backend()) == "mask"):
            return self.row.mask(window_size, self.chunk, additive=True)
        return SegmentMask(self.row, window_size, self.chunk)

    @property
    def start_position(self) -> int:
        """The first position that is kept, for models that make the mask of their chunks from it.

        In packed rows that mask would not keep segments apart: there it fits nowhere, so that attention which is not
        routed is an error.
        """
        return self.offset if self.row.segments_BL is None else self.offset + 1

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Keeps the keys and values and returns them: there is no history to join them to.

        Latent attention (deepseek_v3 ...) multiplies the rotary part of its queries with the second of the two, the
        rotary keys [B, 1, L, R], and hands the product [B, H, L, L] to attention as its mask. It gets an identity
        instead, so that the queries themselves arrive there as the "mask": `rotary` finishes the scores block by block.
        """
        self.keys, self.values = keys, values
        if not self.row.latent:
            return keys, values
        return keys, mx.eye(_width(values), values.shape[-1], dtype=values.dtype)[None, None]

    def rotary(self, queries_BHLW: mx.array) -> tuple[mx.array, mx.array]:
        """The rotary queries, times the scale, and keys of latent attention: [B, H, L, R] and [B, H, L, R]."""
        B, H, L, _ = queries_BHLW.shape
        assert self.values is not None, "the layer hands over its keys before it asks"
        R = self.values.shape[-1]
        return queries_BHLW[..., :R], mx.broadcast_to(self.values, (B, H, L, R))

    def keys_and_values(self) -> tuple[mx.array | None, mx.array | None]:
        """What the last call brought."""
        return self.keys, self.values

    @property
    def state(self) -> tuple[mx.array | None, mx.array | None]:
        """The keys and values, by the name that mlx-lm's caches have for them."""
        return self.keys, self.values

    def maybe_trim_front(self) -> None:
        """Chunked caches drop what is behind; here nothing is."""

    def size(self) -> int:
        """Positions stored from earlier calls."""
        return 0

    def empty(self) -> bool:
        """Whether nothing came through yet."""
        return self.keys is None

    def is_trimmable(self) -> bool:
        """Nothing can be taken back."""
        return False


def packed_cache(
    model: nn.Module,
    segments_BL: mx.array,
    dtype: mx.Dtype,
    *,
    way: Way = "mask",
    boundaries: Sequence[Sequence[int]] | None = None,
    longest: int | None = None,
    offset: int = 0,
) -> Caches:
    """The caches for one call of `model` on packed rows, as many and as nested as `model.make_cache()` gives.

    Make them where the model is called, inside the compiled function too: `segments_BL` may be one of its inputs.

    Args:
        segments_BL: int [B, L], the same number at the positions of one segment; padding is a segment of its own.
        dtype: what the model computes in.
        way: `mask` works anywhere but in models of chunks; the others want the call inside `segment_attention(model)`.
        boundaries: for `split`, see `PackedRow`.
        longest: a promise that no segment but padding is longer, for `blockwise`.
        offset: the position of the first token, for models that ask.

    Raises:
        ModelError: the model keeps a state that runs across segments (state-space, convolution ...).
        ValueError: `split` without boundaries, or boundaries that do not run from 0 to L in each row.

    Example:
        >>> model = nn.Module()
        >>> model.layers = [nn.Module(), nn.Module()]
        >>> caches = packed_cache(model, mx.array([[0, 0, 1]]), mx.float32)
        >>> len(caches), caches[0].make_mask(3)[0, 0].tolist()
        (2, [[0.0, -inf, -inf], [0.0, 0.0, -inf], [-inf, -inf, 0.0]])
    """
    if way == "split":
        _check_boundaries(boundaries, segments_BL)
    row = PackedRow(segments_BL.shape[1], segments_BL, dtype, way, model, boundaries, longest)

    def refuse(stock: object) -> None:
        raise ModelError(
            f"the {model_type(model)} model keeps a {type(stock).__name__}, a state that runs on from segment to "
            "segment; give it one example a row (batch=bucketed)"
        )

    return [_replacement(stock, row, offset, refuse) for stock in make_prompt_cache(model)]


def alone_cache(model: nn.Module, length: int, dtype: mx.Dtype, *, way: Way = "causal", offset: int = 0) -> Caches:
    """The caches for one call of `model` on rows of one example each: attention alone is changed, states are not.

    Wherever the backend would store [B, H, L, L] under grad, attention goes blockwise: see `tasks.attention.method`. To
    be used inside `segment_attention(model)`, with a model that `honours_alone`.

    Args:
        offset: the position of the first token.

    Example:
        >>> model = nn.Module()
        >>> model.layers = [nn.Module()]
        >>> str(alone_cache(model, 512, mx.float32)[0].make_mask(512))[:6]
        'causal'
    """
    row = PackedRow(length, None, dtype, way, model, first=offset)
    return [_replacement(stock, row, offset, lambda _: None) for stock in make_prompt_cache(model)]


def _replacement(
    stock: Any, row: PackedRow, offset: int, otherwise: Callable[[object], None]
) -> PackedCache | Caches | None:
    """Our cache in the place of mlx-lm's; `otherwise` makes that of a state-space or convolution layer."""
    if isinstance(stock, CacheList):
        return [_replacement(inner, row, offset, otherwise) for inner in stock.caches]
    if not hasattr(stock, "update_and_fetch"):
        return otherwise(stock)
    return PackedCache(row, offset, stock.chunk_size if isinstance(stock, ChunkedKVCache) else None)


def _width(rotary_B1LR: mx.array) -> int:
    """Columns of the identity: never L, so that what is not routed cannot be taken for a mask."""
    L, R = rotary_B1LR.shape[2:]
    return R + (R == L)


def _check_boundaries(boundaries: Sequence[Sequence[int]] | None, segments_BL: mx.array) -> None:
    B, L = segments_BL.shape
    rows = [list(row) for row in boundaries or []]
    if len(rows) != B or any(not row or row[0] != 0 or row[-1] != L or row != sorted(set(row)) for row in rows):
        raise ValueError(f"boundaries={boundaries}; want, for each of {B} rows, ascending positions from 0 to {L}")
