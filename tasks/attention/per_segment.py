"""Attention one segment at a time, at boundaries that are known when the graph is built.

It computes the sum of the squares of the lengths, not the square of the sum, and is plain causal attention to the
backend: Metal's fused kernels, which refuse masks under grad, stay in use. Each set of boundaries is its own graph.
"""

# Shapes: B rows, H query heads, N key heads, L positions, D and E sizes of a head's keys and values.

from collections.abc import Sequence
from itertools import accumulate, pairwise

import mlx.core as mx

from tasks.attention.batched import KEPT, batched_attention
from tasks.attention.blockwise import blockwise_attention
from tasks.attention.method import trains_stock
from tasks.device.backend import backend

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

    Segments that MLX's own attention does not train well go blockwise, see `trains_stock`. On a CPU those of up to
    KEPT positions are computed together, which took 18 % off the whole step of a small model.

    Args:
        boundaries: per row the start of each segment, ascending from 0, then L.

    Example:
        >>> x = mx.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 4, 1)
        >>> split_attention(0 * x, x, x, [[0, 2, 4]], scale=1.0).flatten().tolist()
        [1.0, 1.5, 3.0, 3.5]
    """
    on, heads = backend(), (q_BHLD.shape[-1], v_BNLE.shape[-1])
    if on == "cpu" and sinks is None:
        return _together(q_BHLD, k_BNLD, v_BNLE, boundaries, scale, window)
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


def _together(
    q_BHLD: mx.array,
    k_BNLD: mx.array,
    v_BNLE: mx.array,
    boundaries: Sequence[Sequence[int]],
    scale: float,
    window: int | None,
) -> mx.array:
    """The same attention on a CPU: neighbouring short segments in one call; beyond KEPT or the window, blockwise.

    An operation costs microseconds there however small it is, so the rows are laid end to end, [H, B * L, D], and cut
    into runs of segments of up to KEPT positions together.
    """
    B, H, L, _ = q_BHLD.shape
    runs = _runs([stop - start for row in boundaries for start, stop in pairwise(row)], min(window or KEPT, KEPT))
    ends = list(accumulate(map(sum, runs)))[:-1]
    parts = (mx.split(x.swapaxes(0, 1).flatten(1, 2), ends, axis=1) for x in (q_BHLD, k_BNLD, v_BNLE))
    outs = []
    for run, q, k, v in zip(runs, *parts, strict=True):
        if run[0] <= min(window or KEPT, KEPT):
            outs.append(batched_attention(q, k, v, run, scale=scale))
        else:
            outs.append(blockwise_attention(q[None], k[None], v[None], scale=scale, window=window)[0])
    return mx.concatenate(outs, axis=1).reshape(H, B, L, -1).swapaxes(0, 1)


def _runs(lengths: Sequence[int], longest: int) -> list[tuple[int, ...]]:
    """Neighbours of up to KEPT positions together; a segment above `longest` is by itself.

    Example:
        >>> _runs([600, 400, 300, 2000, 5], 1024)
        [(600, 400), (300,), (2000,), (5,)]
    """
    runs: list[tuple[int, ...]] = []
    for length in lengths:
        last = runs[-1] if runs else (KEPT,)
        if max(length, *last) <= longest and sum(last) + length <= KEPT:
            runs[-1] = (*last, length)
        else:
            runs.append((length,))
    return runs
