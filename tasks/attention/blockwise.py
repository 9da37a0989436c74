"""Exact causal attention whose memory grows with L, not L^2: forward and backward go block by block.

The forward keeps the output and the logarithm of each row's normaliser; the backward computes the scores again, one
tile at a time (Dao, FlashAttention-2, arXiv:2307.08691). It is plain MLX, so it runs the same on Metal, CUDA and CPU.
"""

# Shapes: B rows, H query heads, N key heads, L positions, D and E sizes of a head's keys and values, K picked keys.
# A *band* is a block of queries, a *tile* the scores of a band against some keys (see tiles.py). Heads are grouped:
# the H / N query heads that read one key head are stacked along the queries, [B, N, H / N * queries, D], so that
# grouped-query attention is one product a key head and the keys are never repeated.
#
# Scores are counted in units of the device's cheapest exponential (`unit`: log2(e) where exp2 is the cheap one), a
# factor that goes into the queries once instead of into every score.

from typing import Any

import mlx.core as mx

from tasks.attention.tiles import MASKED, Band, Tile, plan, visible
from tasks.device.backend import kind
from tasks.device.fast_exp import power, unit

BLOCK = {"cpu": 128, "gpu": 512}
"""Queries in a block. Small ones waste less at the diagonal; a GPU wants large products
(tests/bench/ablation.py with `blockwise`)."""

BUDGET = {"cpu": 2**20, "gpu": 2**23}
"""Scores of a tile at most, over all rows and heads, unless one block of keys has more: 4 and 32 MiB
(tests/bench/ablation.py with `blockwise` for time, attention_memory.py for memory)."""


def blockwise_attention(
    q_BHLD: mx.array,
    k_BNLD: mx.array,
    v_BNLE: mx.array,
    *,
    scale: float,
    segments: mx.array | None = None,
    window: int | None = None,
    sinks: mx.array | None = None,
    cap: float | None = None,
    picked: mx.array | None = None,
    block: int | None = None,
) -> mx.array:
    """softmax(scale q k^T) v over the keys that are not later, of the same segment and inside the window.

    Scores, normalisers and sums over blocks are float32 whatever the inputs are. Gradients reach q, k, v and sinks.
    A few tiles of scores are alive at a time (see `BUDGET`), in the backward too, whatever L is.

    Args:
        q_BHLD: queries [B, H, L, D].
        k_BNLD: keys [B, N, L, D]; N divides H, and query head h reads key head h // (H / N).
        v_BNLE: values [B, N, L, E].
        scale: factor of the scores, usually D**-0.5.
        segments: int [B, L], the segment of each position; None is one segment. Every position sees itself.
        window: keys that a query sees, itself included; None for all.
        sinks: [H], a score per head that takes part in the normaliser and has no value (gpt-oss).
        cap: scores become cap * tanh(scores / cap) before the mask (gemma2).
        picked: int [B, L, K], the keys that each query may see at most, some of which it can see; None for all.
        block: queries in a block; None for what suits the device.

    Returns:
        [B, H, L, E] in the dtype of the queries.

    Raises:
        ValueError: q and k differ in length, N does not divide H, or block or window is below 1.

    Example:
        >>> x = mx.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 4, 1)
        >>> out = blockwise_attention(0 * x, x, x, scale=1.0, segments=mx.array([[0, 0, 1, 1]]), block=2)
        >>> out.flatten().tolist()
        [1.0, 1.5, 3.0, 3.5]
    """
    (B, H, L, _), (N, keys) = q_BHLD.shape, k_BNLD.shape[1:3]
    if keys != L or H % N:
        raise ValueError(f"queries {q_BHLD.shape}, keys {k_BNLD.shape}; want as many keys, and heads a multiple")
    reach = L if window is None else min(window, L)
    bands = plan(L, BLOCK[kind()] if block is None else block, reach, BUDGET[kind()] // (B * H))
    inner = _Tiles(scale, cap, reach, segments, picked, H // N)
    given = [q_BHLD, k_BNLD, v_BNLE] + ([] if sinks is None else [sinks])
    function: Any = mx.custom_function(lambda *arrays: _forward(inner, bands, *arrays))

    @function.vjp
    def backward(primals: Any, cotangents: Any, outputs: Any) -> list[mx.array]:
        return _backward(inner, bands, cotangents[0], *outputs, *primals)

    return function(*given)[0]


class _Tiles:
    """Computes the scores of a tile, capped and masked. Heads are grouped by the key head that they read.

    Attributes:
        unit: the factor from natural scores to units, in which `power` is the device's cheapest exponential.
        counted: the factor of the queries, so that scores come in units; 1 with a cap, which is applied before them.
    """

    def __init__(
        self,
        scale: float,
        cap: float | None,
        reach: int,
        segments_BL: mx.array | None,
        picked_BLK: mx.array | None,
        repeats: int,
    ) -> None:
        self.scale, self.cap, self.reach, self.repeats = scale, cap, reach, repeats
        self.segments_BL, self.picked_BLK = segments_BL, picked_BLK
        self.unit = unit()
        self.counted = self.unit if cap is None else 1.0

    def group(self, x_BHLD: mx.array, band: Band) -> mx.array:
        """A band of queries as float32 [B, N, repeats * queries, D]: one product per key head serves its group."""
        B, H, _, D = x_BHLD.shape
        x = x_BHLD[:, :, band.start : band.stop].astype(mx.float32)
        return x.reshape(B, H // self.repeats, -1, D)

    def queries(self, q_BHLD: mx.array, band: Band) -> mx.array:
        """A band of queries, grouped, times the factor of the scores."""
        return self.group(q_BHLD, band) * (self.scale * self.counted)

    def ungroup(self, x: mx.array) -> mx.array:
        """[B, N, repeats * queries, D] back to [B, H, queries, D]."""
        B, N, rows, D = x.shape
        return x.reshape(B, N * self.repeats, rows // self.repeats, D)

    def picks(self, band: Band) -> mx.array | None:
        """Which of all keys each query of a band picked, bool [B, queries, L]; None where all are."""
        if self.picked_BLK is None:
            return None
        picked = self.picked_BLK[:, band.start : band.stop]
        none = mx.zeros((*picked.shape[:2], self.picked_BLK.shape[1]), mx.bool_)
        return mx.put_along_axis(none, picked, mx.array(True), axis=-1)

    def scores(
        self, q: mx.array, k: mx.array, band: Band, tile: Tile, picks: mx.array | None
    ) -> tuple[mx.array, mx.array | None]:
        """Scores [B, N, repeats * queries, keys], MASKED where nothing is seen; and the cap's slope, None without."""
        s = q @ k.swapaxes(-1, -2)
        slope = None
        if self.cap is not None:
            t = mx.tanh(s / self.cap)
            s, slope = (self.cap * self.unit) * t, 1 - t * t
        allowed = visible(band, tile, self.reach, self.segments_BL, picks)
        if allowed is not None:
            B, N, rows, keys = s.shape  # an addition, as a broadcast `where` is 25 times slower on a CPU
            s = s.reshape(B, N, self.repeats, -1, keys) + mx.where(allowed, 0.0, MASKED)
            s = s.reshape(B, N, rows, keys)
        return s, slope


def _forward(inner: _Tiles, bands: list[Band], q: mx.array, k: mx.array, v: mx.array, *sinks: mx.array) -> list[Any]:
    """(output [B, H, L, E], log-normalisers [B, H, L, 1] float32, in units)."""
    dtype = q.dtype
    k, v = k.astype(mx.float32), v.astype(mx.float32)
    outs, lses = [], []
    for band in bands:
        qi, picks = inner.queries(q, band), inner.picks(band)
        state = None  # (sum of exp(s - top) v, top, sum of exp(s - top)) over the tiles so far: the online softmax
        for tile in band.tiles:
            keys = slice(tile.start, tile.stop)
            s, _ = inner.scores(qi, k[:, :, keys], band, tile, picks)
            top = s.max(-1, keepdims=True)
            if state is not None:
                top = mx.maximum(top, state[1])
            p = power(s - top)
            out, total = p @ v[:, :, keys], p.sum(-1, keepdims=True)
            if state is not None:  # a larger maximum makes what was summed before smaller by this factor
                fade = power(state[1] - top)
                out, total = out + fade * state[0], total + fade * state[2]
            state = (out, top, total)
            qi, k, v = mx.depends([qi, k, v], [out, total])  # or the scheduler starts every tile before it ends one
        assert state is not None
        out, lse = inner.ungroup(state[0] / state[2]), inner.ungroup(state[1] + inner.unit * mx.log(state[2]))
        if sinks:  # one more score in the normaliser, without a value: the output shrinks by what it takes
            sink = inner.unit * sinks[0].astype(mx.float32)[:, None, None]
            high = mx.maximum(lse, sink)
            both = high + inner.unit * mx.log(power(lse - high) + power(sink - high))
            out, lse = out * power(lse - both), both
        outs.append(out.astype(dtype))
        lses.append(lse)
    return [mx.concatenate(outs, axis=2), mx.concatenate(lses, axis=2)]


def _backward(
    inner: _Tiles,
    bands: list[Band],
    cotangent: mx.array,
    out: mx.array,
    lse: mx.array,
    q: mx.array,
    k: mx.array,
    v: mx.array,
    *sinks: mx.array,
) -> list[mx.array]:
    """The gradients of q, k, v and, where given, sinks, each in its dtype.

    With P = exp(S - lse) and delta = rowsum(dO * O): dS = P * (dO V^T - delta), dQ = dS K, dK = dS^T Q, dV = P^T dO.
    """
    dtypes = [x.dtype for x in (q, k, v, *sinks)]
    block = bands[0].stop
    (k, v), cotangent = (k.astype(mx.float32), v.astype(mx.float32)), cotangent.astype(mx.float32)
    delta_BHL1 = (cotangent * out.astype(mx.float32)).sum(-1, keepdims=True)
    dq: list[mx.array] = []
    dk: list[Any] = [None] * len(bands)  # transposed, [B, N, D, block]: the large factor is then read as it lies
    dv: list[Any] = [None] * len(bands)
    for band in bands:
        qi, do = inner.queries(q, band), inner.group(cotangent, band)
        norm, delta, picks = inner.group(lse, band), inner.group(delta_BHL1, band), inner.picks(band)
        grad = None
        for tile in band.tiles:
            keys = slice(tile.start, tile.stop)
            s, slope = inner.scores(qi, k[:, :, keys], band, tile, picks)
            p = power(s - norm)
            ds = p * (do @ v[:, :, keys].swapaxes(-1, -2) - delta)
            ds = ds if slope is None else ds * slope
            part = ds @ k[:, :, keys]
            grad = part if grad is None else grad + part
            touched = [grad]
            # A tile may span several blocks of keys; their sums are kept block by block, as each band adds to its own.
            for sums, share in ((dk, qi.swapaxes(-1, -2) @ ds), (dv, do.swapaxes(-1, -2) @ p)):
                for n in range(tile.start // block, -(-tile.stop // block)):
                    piece = share[..., n * block - tile.start : (n + 1) * block - tile.start]
                    sums[n] = piece if sums[n] is None else sums[n] + piece
                    touched.append(sums[n])
            qi, do, k, v = mx.depends([qi, do, k, v], touched)
        assert grad is not None
        dq.append(inner.ungroup(grad * inner.scale).astype(dtypes[0]))
    dk_BNLD, dv_BNLE = (mx.concatenate(sums, axis=3).swapaxes(-1, -2) for sums in (dk, dv))
    grads = [mx.concatenate(dq, axis=2), dk_BNLD / inner.counted, dv_BNLE]
    if sinks:
        weight = power(inner.unit * sinks[0].astype(mx.float32)[:, None, None] - lse)
        grads.append(-(weight * delta_BHL1).sum((0, 2, 3)))
    return [grad.astype(dtype) for grad, dtype in zip(grads, dtypes, strict=True)]
