"""Attention one segment at a time, at boundaries that are known when the graph is built.

It computes the sum of the squares of the lengths, not the square of the sum, and is plain causal attention to the
backend: Metal's fused kernels, which refuse masks under grad, stay in use. Each set of boundaries is its own graph.
"""

from collections.abc import Sequence
from itertools import pairwise

import mlx.core as mx

from tasks.attention.blockwise import blockwise_attention
from tasks.attention.way import backend, trains_stock

SHORTEST = 9
"""Metal's fused attention takes no gradient for fewer queries; shorter segments are padded behind."""


def split_attention(
    q_BHLD: mx.array,
    k_BNLD: mx.array,
    v_BNLE: mx.array,
    boundaries: Sequence[Sequence[int]],
    *,
    scale: float,
    window: int | None = None,
    sinks: mx.array | None = None,
) -> mx.array:
    """Causal attention inside each segment, [B, H, L, E]; arguments as in `blockwise_attention`.

    Segments that MLX's own attention does not train well go blockwise, see `trains_stock`.

    Args:
        boundaries: per row the start of each segment, ascending from 0, then L.

    Example:
        >>> x = mx.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 4, 1)
        >>> split_attention(0 * x, x, x, [[0, 2, 4]], scale=1.0).flatten().tolist()
        [1.0, 1.5, 3.0, 3.5]
    """
    on, heads = backend(), (q_BHLD.shape[-1], v_BNLE.shape[-1])
    rows = []
    for n, row in enumerate(boundaries):
        parts = []
        for start, stop in pairwise(row):
            q, k, v = (x[n : n + 1, :, start:stop] for x in (q_BHLD, k_BNLD, v_BNLE))
            if not trains_stock(on, stop - start, heads, q.dtype, window=window, sinks=sinks is not None):
                parts.append(blockwise_attention(q, k, v, scale=scale, window=window, sinks=sinks))
                continue
            short = max(0, SHORTEST - (stop - start))
            if short:
                q, k, v = (mx.pad(x, [(0, 0), (0, 0), (0, short), (0, 0)]) for x in (q, k, v))
            out = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask="causal", sinks=sinks)
            parts.append(out[:, :, : stop - start])
        rows.append(mx.concatenate(parts, axis=2))
    return mx.concatenate(rows, axis=0)
