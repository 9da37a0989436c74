"""Attention inside the segments of a packed row, for unmodified mlx-lm models; and a blockwise one for long rows.

with segment_attention(model):
    logits = model(ids_BL, cache=packed_cache(model, segments_BL, dtype, way=choose_way(L, backend())))
"""

from tasks.attention.blockwise import blockwise_attention
from tasks.attention.isolation import honours_alone, honours_segments, keeps_states
from tasks.attention.method import Way, choose_way
from tasks.attention.packed_cache import alone_cache, packed_cache
from tasks.attention.per_segment import split_attention
from tasks.attention.routing import segment_attention

__all__ = [
    "Way",
    "alone_cache",
    "blockwise_attention",
    "choose_way",
    "honours_alone",
    "honours_segments",
    "keeps_states",
    "packed_cache",
    "segment_attention",
    "split_attention",
]
