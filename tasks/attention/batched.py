"""Exact causal attention inside all segments of a row at once: their tiles are one batch of small products.

On a CPU an operation costs microseconds to make however small it is, and products of 64 are as fast as larger ones. So
segments are cut into blocks, and each pair of blocks that see each other is a tile of the batch: the number of
operations does not grow with the number of segments, and hardly anything above the diagonal is computed.
"""

# Shapes: H query heads, N key heads, L positions of the row, D and E sizes of a head's keys and values; n blocks of
# c = TILE positions, T tiles. Example: segments of 100 and 60 positions are 2 + 1 blocks, the first filled up from 100
# to 128; block 0 sees itself, 1 sees 0 and 1, 2 sees itself: T = 4 tiles, of which 3 are on a diagonal.
#
# Every index array below is built once for a tuple of lengths (`_tiles` is cached), in NumPy, so that a forward is:
# gather the rows into blocks, gather_mm over the tiles, softmax across the tiles of each block of queries, gather_mm
# with the values, and one product with a 0/1 matrix that adds up the tiles of a block (`total`).

from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from tasks.attention.tiles import MASKED
from tasks.device.fast_exp import exp

TILE = 64
"""Queries, and keys, of a tile (tests/bench/step_vs_plain.py on a CPU)."""

KEPT = 1024
"""Positions of a segment up to which attention on a CPU keeps its softmax for the backward pass: at most 4 KEPT bytes a
position and head, so that memory still grows with the row's length."""


def batched_attention(
    q_HLD: mx.array, k_NLD: mx.array, v_NLE: mx.array, lengths: tuple[int, ...], *, scale: float
) -> mx.array:
    """softmax(scale q k^T) v over the keys of the same segment that are not later, in float32: [H, L, E].

    The exponentials are kept for the backward, 4 bytes a pair of positions and head, so that nothing is computed twice:
    it is for segments that are short beside the memory there is.

    Args:
        q_HLD: queries [H, L, D].
        k_NLD: keys [N, L, D]; N divides H, and query head h reads key head h // (H / N).
        v_NLE: values [N, L, E].
        lengths: the length of each segment in order; their sum is L.
        scale: factor of the scores, usually D**-0.5.

    Example:
        >>> x = mx.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
        >>> batched_attention(0 * x, x, x, (2, 2), scale=1.0).flatten().tolist()
        [1.0, 1.5, 3.0, 3.5]
    """
    tiles = _tiles(lengths, q_HLD.shape[0], k_NLD.shape[0])
    function: Any = mx.custom_function(lambda q, k, v: _forward(tiles, scale, q, k, v))

    @function.vjp
    def backward(primals: list[mx.array], cotangents: list[mx.array], outputs: list[mx.array]) -> list[mx.array]:
        return _backward(tiles, scale, cotangents[0], *outputs, *primals)

    dtype = q_HLD.dtype
    return function(*(x.astype(mx.float32) for x in (q_HLD, k_NLD, v_NLE)))[0].astype(dtype)


class _Tiles(NamedTuple):
    """The blocks of a row and the pairs of them that are tiles, as index arrays; n blocks of c positions, T tiles.

    Attributes:
        heads: H and N.
        rows: for queries, and for keys: [heads * n * c] the row of x [heads * L, D] at each place; filled up at
            the end of a segment with its last.
        places: for queries, and for keys: [heads * L] the place of each row.
        real: [n, 1, c] whether a place is no filling.
        sides: for queries, and for keys: [H, T] the block of each tile, counted over all heads.
        numbers: [H, T] the number of each tile, counted over all heads.
        band: [T] the block of queries of each tile.
        members: [n, most] the tiles of each block of queries, the last repeated.
        sums: for queries [n, T], for keys [n, H / N * T]: which tiles make up each block's sum.
        diagonal: [T] whether a tile is on it.
    """

    heads: tuple[int, int]
    rows: tuple[mx.array, mx.array]
    places: tuple[mx.array, mx.array]
    real: mx.array
    sides: tuple[mx.array, mx.array]
    numbers: mx.array
    band: mx.array
    members: mx.array
    sums: tuple[mx.array, mx.array]
    diagonal: mx.array

    def cut(self, x: mx.array, side: int) -> mx.array:
        """[heads, L, D] as blocks [heads * n, c, D]."""
        D = x.shape[-1]
        return x.reshape(-1, D)[self.rows[side]].reshape(-1, TILE, D)

    def join(self, x: mx.array, side: int) -> mx.array:
        """Blocks [heads, n, c * D] as [heads, L, D]."""
        heads, n, size = x.shape
        return x.reshape(heads * n * TILE, -1)[self.places[side]].reshape(heads, -1, size // TILE)

    def total(self, x: mx.array, side: int) -> mx.array:
        """The sums over tiles [H * T, ...] that share a block: [heads, n, ...], as one product, which is cheap."""
        return self.sums[side] @ x.reshape(self.heads[side], self.sums[side].shape[1], -1)


@lru_cache(maxsize=16)
def _tiles(lengths: tuple[int, ...], H: int, N: int) -> _Tiles:
    counts = [-(-length // TILE) for length in lengths]
    starts, firsts = np.cumsum([0, *lengths]), np.cumsum([0, *counts])
    n, L = int(firsts[-1]), int(starts[-1])
    places = np.concatenate([np.arange(length) + TILE * f for length, f in zip(lengths, firsts[:-1], strict=True)])
    row_of_place = np.concatenate([
        np.minimum(np.arange(TILE * count), length - 1) + start
        for count, length, start in zip(counts, lengths, starts[:-1], strict=True)
    ])  # fmt: skip
    real = np.zeros(n * TILE, np.float32)
    real[places] = 1
    pairs = [(i, j) for a, b in pairwise(firsts.tolist()) for i in range(a, b) for j in range(a, i + 1)]
    query, key = np.array(pairs).T
    T, repeats = len(pairs), H // N
    most = max(counts)
    members = np.stack([np.resize(np.flatnonzero(query == i), most) for i in range(n)])

    def over(heads: np.ndarray, size: int, index: np.ndarray, dtype: Any = np.uint32) -> mx.array:
        return mx.array((heads[:, None] * size + index).astype(dtype))

    def sums(block: np.ndarray) -> np.ndarray:
        return (block == np.arange(n)[:, None]).astype(np.float32)

    h, k = np.arange(H), np.arange(N)
    return _Tiles(
        heads=(H, N),
        rows=(over(h, L, row_of_place).flatten(), over(k, L, row_of_place).flatten()),
        places=(over(h, n * TILE, places).flatten(), over(k, n * TILE, places).flatten()),
        real=mx.array(real.reshape(n, 1, TILE)),
        sides=(over(h, n, query), over(h // repeats, n, key)),
        numbers=over(h, T, np.arange(T)),
        band=mx.array(query),
        members=mx.array(members),
        sums=(mx.array(sums(query)), mx.array(np.tile(sums(key), repeats))),
        diagonal=mx.array(query == key),
    )


def _forward(tiles: _Tiles, scale: float, q: mx.array, k: mx.array, v: mx.array) -> list[mx.array]:
    """(output [H, L, E], powers [H, T, keys, queries], inverse normalisers [H, n, 1, queries]; 0 for a filling)."""
    H, (queries, keys) = len(q), tiles.sides
    qs, ks, vs = tiles.cut(q * scale, 0), tiles.cut(k, 1), tiles.cut(v, 1)
    later = mx.where(mx.tril(mx.ones((TILE, TILE), mx.bool_), -1), MASKED, 0.0)
    masks = mx.stack([mx.zeros_like(later), later])[tiles.diagonal.astype(mx.uint32)]
    s = mx.gather_mm(ks, qs.swapaxes(-1, -2), keys, queries) + masks  # transposed: [H, T, keys, queries]
    # The largest score of a query over all its tiles: over the keys of each, then over the block's members.
    top = s.max(-2)[:, tiles.members].max(2)[:, tiles.band]
    p = exp(s - top[:, :, None])
    # Normalised last, on [L, E] and not on the pairs. 0 for a filling, so that it takes part in no gradient.
    inverse = tiles.real / tiles.total(p.sum(-2), 0)[:, :, None]
    outs = mx.gather_mm(p.reshape(-1, TILE, TILE).swapaxes(-1, -2), vs, tiles.numbers, keys)
    out = tiles.total(outs, 0).reshape(H, -1, TILE, v.shape[-1]) * inverse.swapaxes(-1, -2)
    return [tiles.join(out.flatten(2), 0), p, inverse]


def _backward(
    tiles: _Tiles,
    scale: float,
    cotangent: mx.array,
    out: mx.array,
    p: mx.array,
    inverse: mx.array,
    q: mx.array,
    k: mx.array,
    v: mx.array,
) -> list[mx.array]:
    """The gradients of q, k and v: with P = p * inverse and delta = rowsum(dO * O), dS = P * (dO V^T - delta)."""
    queries, keys = tiles.sides
    qs, ks, vs = tiles.cut(q, 0), tiles.cut(k, 1), tiles.cut(v, 1)
    do = tiles.cut(cotangent, 0) * inverse.reshape(-1, TILE, 1)
    delta = tiles.cut((cotangent * out).sum(-1, keepdims=True), 0).reshape(inverse.shape) * inverse
    ds = p * (mx.gather_mm(vs, do.swapaxes(-1, -2), keys, queries) - delta[:, tiles.band])
    ds, p = ds.reshape(-1, TILE, TILE), p.reshape(-1, TILE, TILE)
    dq = tiles.total(mx.gather_mm(ds.swapaxes(-1, -2), ks, tiles.numbers, keys), 0)
    dk = tiles.total(mx.gather_mm(ds, qs, tiles.numbers, queries), 1)
    dv = tiles.total(mx.gather_mm(p, do, tiles.numbers, queries), 1)
    return [tiles.join(dq * scale, 0), tiles.join(dk * scale, 1), tiles.join(dv, 1)]
