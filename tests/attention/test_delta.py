"""The gated delta rule against mlx-lm's loop over positions."""

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.models.gated_delta import gated_delta_ops

from tasks.attention.delta import CHUNK, gated_delta
from tests.attention.families import apart


def _drawn(T: int, same_key: bool = False) -> tuple[list[mx.array], mx.array]:
    a, b, c, d, e, f = mx.random.split(mx.random.key(T), 6)
    q, k = mx.random.normal((2, T, 2, 8), key=a), mx.random.normal((2, T, 2, 8), key=b)
    k = mx.broadcast_to(k[:, :1], k.shape) if same_key else k
    k = k / mx.linalg.norm(k, axis=-1, keepdims=True)
    v, cotangent = mx.random.normal((2, T, 4, 6), key=c), mx.random.normal((2, T, 4, 6), key=f)
    g, beta = mx.sigmoid(mx.random.normal((2, T, 4), key=d) * 3 + 3), mx.sigmoid(mx.random.normal((2, T, 4), key=e) * 2)
    return [q, k, v, g, beta], cotangent


@pytest.mark.parametrize("T", [1, CHUNK - 1, CHUNK, 3 * CHUNK + 5])
@pytest.mark.parametrize("same_key", [False, True])
def test_values_and_gradients(T: int, same_key: bool) -> None:
    drawn, cotangent = _drawn(T, same_key)
    ours = mx.vjp(lambda *x: gated_delta(*x)[0], drawn, [cotangent])
    theirs = mx.vjp(lambda *x: gated_delta_ops(*x)[0], drawn, [cotangent])
    names = ["y", "q", "k", "v", "g", "beta"]
    for name, a, b in zip(names, ours[0] + ours[1], theirs[0] + theirs[1], strict=True):
        allowed = 1e-4 if name == "g" else 1e-5  # g's is a small difference of sums over the chunk
        assert apart(a, b) < allowed or mx.abs(b).max() < 1e-6, name


def test_a_decay_of_zero_forgets() -> None:
    (q, k, v, g, beta), cotangent = _drawn(50)
    g[:, 20] = 0.0
    left, grads = mx.vjp(lambda *x: gated_delta(*x)[0], [q, k, v, g, beta], [cotangent])
    right = gated_delta_ops(q, k, v, g, beta)[0]
    assert apart(left[0], right) < 1e-5
    assert all(np.isfinite(np.array(grad)).all() for grad in grads)


def test_the_last_state_is_given() -> None:
    drawn, _ = _drawn(CHUNK + 3)
    assert apart(gated_delta(*drawn)[1], gated_delta_ops(*drawn)[1]) < 1e-5
