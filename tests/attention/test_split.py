"""Segment by segment equals the textbook, whatever is short, windowed or has a sink."""

import mlx.core as mx
import pytest

from tasks.attention import split_attention
from tests.attention.families import STARTS, apart, segments_of
from tests.attention.test_blockwise import allowed, draw, plain


@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("sunk", [False, True])
def test_values_and_gradients(window: int | None, sunk: bool) -> None:
    q, k, v, cotangent = draw(2, 4, 2, 44, 8)
    mask = mx.array(allowed(44, segments_of(), window))
    sinks = mx.random.normal((4,), key=mx.random.key(1)) if sunk else None

    def ours(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        return split_attention(q, k, v, STARTS, scale=0.3, window=window, sinks=sinks)

    def theirs(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        return plain(mx, q, k, v, mask, 0.3, sinks)

    left, right = (mx.vjp(fn, [q, k, v], [cotangent]) for fn in (ours, theirs))
    for a, b in zip(left[0] + left[1], right[0] + right[1], strict=True):
        assert apart(a, b) < 1e-5
