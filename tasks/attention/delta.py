"""The gated delta rule, chunk by chunk: linear attention trains without a Python loop over positions.

mlx-lm trains its families (qwen3_next, qwen3_5 ...) position by position and keeps a state for each. Inside a chunk the
rule is a triangular system (Yang et al., Gated Delta Networks, arXiv:2412.06464), so that only the state from chunk to
chunk is sequential. It is plain MLX, so it runs the same on Metal, CUDA and CPU.
"""

from typing import Any

import mlx.core as mx

CHUNK = 16
"""Positions of a chunk. The state is kept once a chunk; longer ones round more, and solve larger systems."""

LEAST = 1e-30
"""A decay below it is taken for it: a quotient of products of decays is the difference of sums of logarithms."""


def gated_delta(
    q_BTHD: mx.array, k_BTHD: mx.array, v_BTHE: mx.array, g_BTH: mx.array, beta_BTH: mx.array
) -> tuple[mx.array, mx.array]:
    """y_t = S_t q_t, where S_t = g_t S_(t-1) + beta_t (v_t - g_t S_(t-1) k_t) k_t^T and S_0 = 0, in float32.

    Args:
        q_BTHD: queries [B, T, Hk, D].
        k_BTHD: keys [B, T, Hk, D], of length 1 or less.
        v_BTHE: values [B, T, Hv, E]; Hk divides Hv, and value head h reads key head h // (Hv / Hk).
        g_BTH: decays [B, T, Hv], between 0 and 1.
        beta_BTH: how much of what is stored under a key is replaced, [B, T, Hv].

    Returns:
        (y [B, T, Hv, E] in the dtype of the queries, S_T [B, Hv, E, D] float32).

    Example:
        >>> one = mx.ones((1, 3, 1, 1))
        >>> y, _ = gated_delta(one, one, mx.array([[[[4.0]], [[8.0]], [[2.0]]]]), one[..., 0], one[..., 0] / 2)
        >>> y.flatten()
        array([2, 5, 3.5], dtype=float32)
    """
    (B, T, Hk, _), Hv = q_BTHD.shape, v_BTHE.shape[2]
    short, n = -T % CHUNK, -(-T // CHUNK)

    def chunks(x: mx.array, repeats: int, filler: float = 0.0) -> mx.array:
        """[B, T, H, ...] as float32 [B, H, n, CHUNK, ...]."""
        x = mx.pad(x.astype(mx.float32), [(0, 0), (0, short)] + [(0, 0)] * (x.ndim - 2), constant_values=filler)
        x = mx.repeat(x, repeats, axis=2) if repeats > 1 else x
        return x.reshape(B, n, CHUNK, Hv, *x.shape[3:]).moveaxis(3, 1)

    q, k, v = chunks(q_BTHD, Hv // Hk), chunks(k_BTHD, Hv // Hk), chunks(v_BTHE, 1)
    g, beta = chunks(g_BTH, 1, 1.0), chunks(beta_BTH, 1)[..., None]
    log = mx.cumsum(mx.log(mx.maximum(g, LEAST)), axis=-1)[..., None]  # of the decay since the chunk began
    lower = mx.tril(mx.ones((CHUNK, CHUNK), mx.bool_))
    decay = mx.where(lower, mx.exp(mx.where(lower, log - log.swapaxes(-1, -2), 0.0)), 0.0)
    strict = mx.tril(beta * decay * (k @ k.swapaxes(-1, -2)), -1)
    solve = _inverse(strict)
    # What a position stores: beta (v - decayed state k - what earlier positions of the chunk stored under k).
    begun = mx.exp(log)
    stored, taken = solve @ (beta * v), solve @ (beta * begun * k)
    scores = decay * (q @ k.swapaxes(-1, -2))
    left = mx.exp(log[..., -1:, :] - log) * k  # keys, decayed to the chunk's end
    state = mx.zeros((B, Hv, q.shape[-1], v.shape[-1]))
    outs = []
    for c in range(n):
        u = stored[:, :, c] - taken[:, :, c] @ state
        outs.append((begun * q)[:, :, c] @ state + scores[:, :, c] @ u)
        state = begun[:, :, c, -1:] * state + left[:, :, c].swapaxes(-1, -2) @ u
    y = mx.stack(outs, axis=2).moveaxis(1, 3).reshape(B, n * CHUNK, Hv, -1)
    return y[:, :T].astype(q_BTHD.dtype), state.swapaxes(-1, -2)


def _inverse(strict: mx.array) -> mx.array:
    """(I + strict)^-1 of strictly lower triangular matrices [..., C, C], row by row, which is stable."""
    C = strict.shape[-1]
    eye = mx.eye(C)

    def forward(a: mx.array) -> mx.array:
        rows = mx.broadcast_to(eye[:1], (*a.shape[:-2], 1, C))
        for i in range(1, C):
            rows = mx.concatenate([rows, eye[i : i + 1] - a[..., i : i + 1, :i] @ rows], axis=-2)
        return rows

    function: Any = mx.custom_function(forward)

    @function.vjp
    def backward(_primal: mx.array, cotangent: mx.array, inverse: mx.array) -> mx.array:
        transposed = inverse.swapaxes(-1, -2)
        return -mx.tril(transposed @ cotangent @ transposed, -1)

    return function(strict)
