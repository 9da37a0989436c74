"""Tests whether a model keeps the segments of a packed row apart, by running it, before a run packs anything.

The reference is the model with mlx-lm's own cache, as when it generates: without one gemma3n is another network, whose
layers do not share their keys and values.
"""

from collections.abc import Callable
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.models.cache import CacheList, make_prompt_cache

from tasks.attention.method import Way
from tasks.attention.packed_cache import PackedCache, alone_cache, packed_cache
from tasks.attention.picked import fewer_picks, indexers
from tasks.attention.routing import segment_attention
from tasks.patch import evaluating

LENGTHS = (9, 21, 14, 9, 12, 10)
"""Lengths of the probe's segments. Above 8, which Metal's fused attention treats differently."""

ALONE = 24
"""Tokens of the probe of rows of one example."""

PICKS = 6
"""Keys that an indexer picks in the second round: fewer than the rows of the probe have."""

TOLERANCE = {mx.float32: 1e-3, mx.float16: 3e-2, mx.bfloat16: 1e-1}
"""The largest error of a position, relative to the logits. A leak makes one of about 1."""

FAR = 10_000
"""A position where as much again is allowed: rotary angles of 10**4 have an error of 10**-3 in float32."""


def honours_segments(model: nn.Module, vocab_size: int, *, way: Way = "mask", row_length: int | None = None) -> bool:
    """Whether packed logits are those of each segment alone, on random tokens.

    False too when packing without segments changes nothing (the probe proves nothing then), and when the model raises
    anything. False for state-space, linear-attention and convolution models and for learned positions.

    Args:
        vocab_size: tokens are drawn below it.
        way: how attention will be done in training.
        row_length: positions in a training row. The probe then also runs at the far end of one, which learned or
            scaled absolute positions do not survive.

    Example:
        >>> honours_segments(nn.Linear(2, 2), 10)
        False
    """
    return _asked(model, lambda: _matches(model, vocab_size, way, max(0, (row_length or 0) - sum(LENGTHS))))


def keeps_states(model: nn.Module) -> bool:
    """Whether a layer keeps a state that runs on from segment to segment, so that no row can be packed; reads nothing.

    Args:
        model: ids -> logits; its caches are asked, as mlx-lm makes them.

    Example:
        >>> model = nn.Module()
        >>> model.layers = [nn.Module()]
        >>> keeps_states(model)
        False
    """
    return not all(_has_keys(cache) for cache in make_prompt_cache(model))


def _has_keys(cache: object) -> bool:
    if isinstance(cache, CacheList):
        return all(_has_keys(inner) for inner in cache.caches)
    return hasattr(cache, "update_and_fetch")


def honours_alone(model: nn.Module, vocab_size: int) -> bool:
    """Whether a row of one example gives the same logits with `alone_cache` as with mlx-lm's own.

    False for whatever the model raises, as those do that do their attention without mlx-lm's function.

    Example:
        >>> honours_alone(nn.Linear(2, 2), 10)
        False
    """
    return _asked(model, lambda: _same_alone(model, vocab_size))


def _asked(model: nn.Module, question: Callable[[], bool]) -> bool:
    """The answer of a model in evaluation mode, its attention routed; False if it raises anything."""
    with evaluating(model), segment_attention(model):
        try:
            answer = question()
            if answer and indexers(model):
                with fewer_picks(model, PICKS):
                    answer = question()
            return answer
        except Exception:  # an exotic model may fail in any way; all mean the same: leave its attention alone
            return False


def _same_alone(model: nn.Module, vocab_size: int) -> bool:
    ids = mx.random.randint(0, vocab_size, (1, ALONE), key=mx.random.key(0))
    expected = model(ids, cache=make_prompt_cache(model))
    return _gives(model, ids, expected, 0) and _same_chunks(model, ids, expected.dtype)


def _same_chunks(model: nn.Module, ids: mx.array, dtype: mx.Dtype) -> bool:
    """Whether ours are the masks that a model of chunks makes by itself, where one chunk ends and the next begins."""
    ours = [cache for cache in alone_cache(model, ALONE, dtype) if isinstance(cache, PackedCache)]
    for chunk in {cache.chunk for cache in ours if cache.chunk is not None}:
        offset = max(0, chunk - ALONE // 2)
        own = alone_cache(model, ALONE, dtype, offset=offset)
        for cache in own:
            if isinstance(cache, PackedCache):
                cache.chunk = None
        if not _gives(model, ids, model(ids, cache=own), offset):
            return False
    return True


def _gives(model: nn.Module, ids: mx.array, expected: mx.array, offset: int) -> bool:
    """Whether rows of one example have the expected logits, both as they are trained and blockwise."""
    worst = np.max if expected.dtype == mx.float32 else np.median  # a token may go to another expert, see `_gap`
    ways: tuple[Way, ...] = ("causal", "blockwise")
    caches = [alone_cache(model, ALONE, expected.dtype, way=way, offset=offset) for way in ways]
    gaps = [float(worst(_off(model(ids, cache=cache), expected))) for cache in caches]
    return all(gap <= TOLERANCE.get(expected.dtype, 0.0) for gap in gaps)


def _matches(model: nn.Module, vocab_size: int, way: Way, far: int) -> bool:
    starts = [sum(LENGTHS[:n]) for n in range(len(LENGTHS) + 1)]
    ids = mx.random.randint(0, vocab_size, (1, starts[-1]), key=mx.random.key(0))
    segments = mx.concatenate([mx.full((1, length), n) for n, length in enumerate(LENGTHS)], axis=1)
    single = [model(ids[:, a:b], cache=make_prompt_cache(model)) for a, b in pairwise(starts)]
    alone, naive = mx.concatenate(single, axis=1), model(ids)
    tolerance = TOLERANCE.get(alone.dtype, 0.0)
    for offset in sorted({0, far}):
        cache = packed_cache(model, segments, alone.dtype, way=way, boundaries=[starts], offset=offset)
        gap = _gap(model(ids, cache=cache), alone)
        if not gap <= tolerance * (1 + offset / FAR):
            return False
    return _gap(naive, alone) > 2 * tolerance and _same_chunks(model, ids[:, :ALONE], alone.dtype)


def _gap(left_BTV: mx.array, right_BTV: mx.array) -> float:
    """The distance of logits, relative to all of them: at the worst position in float32.

    In half precision rounding sends a token to another expert now and then, which is no leak. A leak shows in every
    segment but the first, most at its start: there the median over segments counts, at the worst of their places.
    """
    off_T = _off(left_BTV, right_BTV)
    if right_BTV.dtype == mx.float32:
        return float(off_T.max())
    starts = np.cumsum(LENGTHS)[:-1]
    return float(np.median([off_T[start : start + min(LENGTHS)] for start in starts], axis=0).max())


def _off(left_BTV: mx.array, right_BTV: mx.array) -> np.ndarray:
    """The distance of the logits at each position, [T], relative to all of them."""
    left, right = left_BTV[0].astype(mx.float32), right_BTV[0].astype(mx.float32)
    return np.array(mx.sqrt((left - right).square().mean(-1) / right.square().mean()))
