"""Attention inside the segments of a packed row, for unmodified mlx-lm models; and a blockwise one for long rows.

with segment_attention(model):
    logits = model(ids_BL, cache=packed_cache(model, segments_BL, dtype, way=choose_way(L, backend())))
"""

from tasks.attention.blockwise import blockwise_attention
from tasks.attention.install import segment_attention
from tasks.attention.packed import alone_cache, packed_cache
from tasks.attention.probe import honours_alone, honours_segments
from tasks.attention.split import split_attention
from tasks.attention.way import Way, backend, choose_way

__all__ = [
    "Way",
    "alone_cache",
    "backend",
    "blockwise_attention",
    "choose_way",
    "honours_alone",
    "honours_segments",
    "packed_cache",
    "segment_attention",
    "split_attention",
]
