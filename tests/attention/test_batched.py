"""Segments computed together equal the textbook, one segment at a time, whatever their lengths and heads."""

from itertools import accumulate, pairwise

import mlx.core as mx
import pytest

from tasks.attention.batched import TILE, batched_attention
from tests.attention.families import apart
from tests.attention.test_blockwise import allowed, draw, plain


@pytest.mark.parametrize("heads", [(4, 2), (3, 3), (2, 1)])
@pytest.mark.parametrize("lengths", [(2,), (TILE,), (3, 2 * TILE + 5, 1, TILE, TILE + 1), (5,) * 9])
def test_values_and_gradients(heads: tuple[int, int], lengths: tuple[int, ...]) -> None:
    L = sum(lengths)
    q, k, v, cotangent = draw(1, *heads, L, 8, 6)
    segments = [[n for n, length in enumerate(lengths) for _ in range(length)]]
    mask = mx.array(allowed(L, segments, None))

    def ours(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        return batched_attention(q[0], k[0], v[0], lengths, scale=0.4)[None]

    left = mx.vjp(ours, [q, k, v], [cotangent])
    right = mx.vjp(lambda q, k, v: plain(mx, q, k, v, mask, 0.4), [q, k, v], [cotangent])
    for a, b in zip(left[0] + left[1], right[0] + right[1], strict=True):
        assert apart(a, b) < 3e-6


def test_a_segment_does_not_depend_on_its_neighbours() -> None:
    lengths = (70, 130, 9)
    q, k, v, _ = (x[0] for x in draw(1, 4, 2, sum(lengths), 8))
    whole = batched_attention(q, k, v, lengths, scale=0.4)
    for length, (start, stop) in zip(lengths, pairwise([0, *accumulate(lengths)]), strict=True):
        alone = batched_attention(q[:, start:stop], k[:, start:stop], v[:, start:stop], (length,), scale=0.4)
        assert apart(whole[:, start:stop], alone) < 1e-6


def test_scores_far_apart_and_far_from_zero() -> None:
    q, k, v, cotangent = draw(1, 2, 2, 150, 8)
    out, grads = mx.vjp(
        lambda q, k, v: batched_attention(q[0], k[0], v[0], (100, 50), scale=300.0)[None], [q, k, v], [cotangent]
    )
    assert all(mx.isfinite(x).all() for x in out + grads)


def test_half_precision_is_computed_in_float32() -> None:
    q, k, v = (x[0].astype(mx.bfloat16) for x in draw(1, 4, 2, 80, 8)[:3])
    half = batched_attention(q, k, v, (50, 30), scale=0.4)
    q, k, v = (x.astype(mx.float32) for x in (q, k, v))
    wide = batched_attention(q, k, v, (50, 30), scale=0.4)
    assert half.dtype == mx.bfloat16
    assert apart(half.astype(mx.float32), wide) < 4e-3  # one rounding of the result, 2**-9
