"""The gated delta rule, chunk by chunk: linear attention trains without a Python loop over positions.

mlx-lm trains its families (qwen3_next, qwen3_5, kimi_linear ...) position by position and keeps a state for each.
Inside a chunk the rule is a triangular system (Yang et al., Gated Delta Networks, arXiv:2412.06464; with a decay for
each channel: Kimi Linear, arXiv:2510.26692), so that only the state from chunk to chunk is sequential. It is plain
MLX, so it runs the same on Metal, CUDA and CPU; where MLX has a fused kernel, that takes the forward.
"""

# Shapes: B rows, T positions, Hk and Hv heads of keys and of values, D and E their sizes, n chunks of C = CHUNK.
#
# Inside a chunk, position i stores u_i = beta_i (v_i - S' k_i), where S' already contains what the positions j < i
# stored. Written out for a chunk that begins with the state S and one decay a head, G_i their product up to i:
#
#     u_i = beta_i (v_i - G_i S k_i) - sum_(j<i) beta_i (k_i . k_j) (G_i / G_j) u_j
#
# which is (I + A) U = beta V - (beta G K) S^T with a strictly lower triangular A. So U = stored - taken S^T, where
# `stored` and `taken` come from one triangular inverse for all chunks at once; only the last line, S from chunk to
# chunk, is a loop, of T / C steps instead of T.

from typing import Any

import mlx.core as mx

from tasks.device.backend import backend

CHUNK = 16
"""Positions of a chunk. The state is kept once a chunk; longer ones round more, and solve larger systems."""

LEAST = 1e-30
"""Decays are clipped to it from below: quotients of products of decays are computed as differences of logarithms."""

FUSED_HEADS = frozenset({(16, 16), (16, 32), (16, 48), (16, 64), (24, 24), (32, 32)})
"""Heads of keys and of values, 128 wide, for which MLX 0.32.4 has a fused forward on Metal."""


def gated_delta(
    q_BTHD: mx.array, k_BTHD: mx.array, v_BTHE: mx.array, g: mx.array, beta_BTH: mx.array
) -> tuple[mx.array, mx.array]:
    """y_t = S_t q_t, where S_t = S'_t + beta_t (v_t - S'_t k_t) k_t^T, S'_t = g_t S_(t-1) and S_0 = 0, in float32.

    Only the arguments are kept for the backward, which computes the chunks again. It is ours on Metal too: MLX's own
    adds with atomics, in an order that differs from run to run.

    Args:
        q_BTHD: queries [B, T, Hk, D].
        k_BTHD: keys [B, T, Hk, D], of length 1 or less.
        v_BTHE: values [B, T, Hv, E]; Hk divides Hv, and value head h reads key head h // (Hv / Hk).
        g: decays between 0 and 1, one for each head [B, T, Hv] or for each channel of its keys [B, T, Hv, D].
        beta_BTH: the share of what is stored under a key that is replaced, [B, T, Hv].

    Returns:
        (y [B, T, Hv, E] in the dtype of the queries, S_T [B, Hv, E, D] float32).

    Example:
        >>> one = mx.ones((1, 3, 1, 1))
        >>> y, _ = gated_delta(one, one, mx.array([[[[4.0]], [[8.0]], [[2.0]]]]), one[..., 0], one[..., 0] / 2)
        >>> y.flatten()
        array([2, 5, 3.5], dtype=float32)
    """
    forward = _fused if has_fused(k_BTHD.shape, v_BTHE.shape, g.ndim) else _chunked
    function: Any = mx.custom_function(forward)

    @function.vjp
    def backward(primals: Any, cotangents: Any, _outputs: Any) -> list[mx.array]:
        late = mx.depends(list(primals), list(cotangents))  # or the scheduler computes all layers again at once
        return mx.vjp(_chunked, late, list(cotangents))[1]

    y, state = function(*(x.astype(mx.float32) for x in (q_BTHD, k_BTHD, v_BTHE, g, beta_BTH)))
    return y.astype(q_BTHD.dtype), state


def has_fused(keys: tuple[int, ...], values: tuple[int, ...], gates: int) -> bool:
    """Whether MLX computes the forward by a fused kernel here.

    Args:
        keys: shape [B, T, Hk, D].
        values: shape [B, T, Hv, E].
        gates: dimensions of the decays, see `gated_delta`.

    Example:
        >>> has_fused((1, 64, 16, 64), (1, 64, 32, 64), 3)
        False
    """
    shaped = keys[-1] == values[-1] == 128 and (keys[2], values[2]) in FUSED_HEADS
    return backend() == "metal" and gates == 3 and shaped


def _fused(q: mx.array, k: mx.array, v: mx.array, g: mx.array, beta: mx.array) -> list[mx.array]:
    """MLX's own forward, in float32: it takes the decays in the dtype of the queries, and 0.999 is 1 in bfloat16."""
    return list(mx.fast.gated_delta_update(q, k, v, g, beta))


def _chunked(q: mx.array, k: mx.array, v: mx.array, g: mx.array, beta: mx.array) -> list[mx.array]:
    (B, T, Hk, D), (Hv, E) = q.shape, v.shape[2:]
    short, n = -T % CHUNK, -(-T // CHUNK)

    def chunks(x: mx.array, repeats: int = 1, filler: float = 0.0) -> mx.array:
        """[B, T, H, X] as [B, H, n, CHUNK, X]."""
        x = mx.pad(x, [(0, 0), (0, short), (0, 0), (0, 0)], constant_values=filler)
        x = mx.repeat(x, repeats, axis=2) if repeats > 1 else x
        return x.reshape(B, n, CHUNK, Hv, x.shape[-1]).moveaxis(3, 1)

    q, k, v, beta = chunks(q, Hv // Hk), chunks(k, Hv // Hk), chunks(v), chunks(beta[..., None])
    g = chunks(g if g.ndim == 4 else g[..., None], filler=1.0)
    log = mx.cumsum(mx.log(mx.maximum(g, LEAST)), axis=-2)  # of the decay since the chunk began
    solve = _inverse(mx.tril(beta * _products(k, k, log), -1))  # (I + A)^-1 of the legend
    begun = mx.exp(log)  # G
    stored, taken = solve @ (beta * v), solve @ (beta * begun * k)
    scores = _products(q, k, log)
    kept = mx.exp(log[..., -1:, :] - log) * k  # keys, decayed to the chunk's end
    state = mx.zeros((B, Hv, D, E))
    outs = []
    parts = (begun * q, scores, stored, taken, kept, begun[..., -1:, :])
    for read, score, store, take, keep, fade in zip(*(_pieces(x, n) for x in parts), strict=True):
        before = state[:, :, None]
        u = store - take @ before
        outs.append(read @ before + score @ u)
        state = (fade.swapaxes(-1, -2) * before + keep.swapaxes(-1, -2) @ u).squeeze(2)
    y = mx.concatenate(outs, axis=2).moveaxis(1, 3).reshape(B, n * CHUNK, Hv, E)
    return [y[:, :T], state.swapaxes(-1, -2)]


def _products(x: mx.array, k: mx.array, log: mx.array) -> mx.array:
    """sum_d x_id k_jd exp(log_id - log_jd) for j <= i, else 0: [..., C, C] of [..., C, D] and log [..., C, D or 1].

    With a decay for each channel the later half meets the earlier one at their border, where neither factor grows,
    and each half is halved again.
    """
    if log.shape[-1] == 1:
        lower = mx.tril(mx.ones((CHUNK, CHUNK), mx.bool_))
        decay = mx.where(lower, mx.exp(mx.where(lower, log - log.swapaxes(-1, -2), 0.0)), 0.0)
        return decay * (x @ k.swapaxes(-1, -2))
    half = x.shape[-2] // 2
    if half == 0:
        return (x * k).sum(-1, keepdims=True)
    border = log[..., half - 1 : half, :]
    later = x[..., half:, :] * mx.exp(log[..., half:, :] - border)
    earlier = k[..., :half, :] * mx.exp(border - log[..., :half, :])
    first, second = mx.split(_products(*(y.reshape(*y.shape[:-2], 2, half, -1) for y in (x, k, log))), 2, axis=-3)
    above = mx.concatenate([first.squeeze(-3), mx.zeros((*x.shape[:-2], half, half))], axis=-1)
    below = mx.concatenate([later @ earlier.swapaxes(-1, -2), second.squeeze(-3)], axis=-1)
    return mx.concatenate([above, below], axis=-2)


def _pieces(x: mx.array, n: int) -> list[mx.array]:
    """The n chunks of [B, H, n, C, X], whose gradients are joined: MLX makes each of many slices' as long as x."""
    function: Any = mx.custom_function(lambda x: mx.split(x, n, axis=2))

    @function.vjp
    def joined(_primal: mx.array, cotangents: Any, _outputs: Any) -> mx.array:
        return mx.concatenate(list(cotangents), axis=2)

    return list(function(x))


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
