"""Routing a model's attention calls to the way its packed cache asks for, for as long as a `with` lasts.

mlx-lm's models import `scaled_dot_product_attention` by name, so the name is replaced in the modules of this model's
classes. Only calls whose mask is a `SegmentMask` take another path: other models of the family notice nothing.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from types import ModuleType
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from tasks.attention.blockwise import blockwise_attention
from tasks.attention.capped import capped_attention
from tasks.attention.packed import SegmentMask
from tasks.attention.split import split_attention
from tasks.attention.way import backend, trains_stock

NAME = "scaled_dot_product_attention"

_held: dict[ModuleType, tuple[int, Callable[..., mx.array]]] = {}


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
    modules = attention_modules(model)
    with ExitStack() as stack:
        stack.enter_context(capped_attention(model))
        for module in modules:
            _take(module)
            stack.callback(_give_back, module)
        yield


def attention_modules(model: nn.Module) -> list[ModuleType]:
    """The Python modules whose attention call the model's classes use, by name."""
    classes = {cls for _, module in model.named_modules() for cls in type(module).__mro__}
    names = sorted({cls.__module__ for cls in classes})
    return [module for name in names if (module := sys.modules.get(name)) and callable(getattr(module, NAME, None))]


def _take(module: ModuleType) -> None:
    count, stock = _held.get(module, (0, getattr(module, NAME)))
    _held[module] = count + 1, stock
    if count == 0:
        setattr(module, NAME, _routed(stock))


def _give_back(module: ModuleType) -> None:
    count, stock = _held.pop(module)
    if count == 1:
        setattr(module, NAME, stock)
    else:
        _held[module] = count - 1, stock


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
        if not isinstance(mask, SegmentMask):
            return stock(queries, keys, values, cache, scale, mask, sinks)
        row, window = mask.row, mask.window
        if row.way == "causal":
            heads = queries.shape[-1], values.shape[-1]
            sunk = sinks is not None
            if trains_stock(backend(), row.length, heads, queries.dtype, window=window, sinks=sunk):
                return stock(queries, keys, values, cache, scale, "causal", sinks)
        if row.way == "split":
            assert row.boundaries is not None
            return split_attention(queries, keys, values, row.boundaries, scale=scale, window=window, sinks=sinks)
        reach = min((n for n in (window, row.longest) if n is not None), default=None)
        return blockwise_attention(
            queries, keys, values, scale=scale, segments=row.segments_BL, window=reach, sinks=sinks
        )

    return attention
