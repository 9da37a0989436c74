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


def test_long_segments_store_no_scores() -> None:
    def peak(length: int) -> int:
        q, k, v, cotangent = draw(1, 4, 2, 2 * length, 8)
        mx.eval(q, k, v, cotangent)
        mx.reset_peak_memory()
        both = [[0, length, 2 * length]]
        mx.eval(mx.vjp(lambda q, k, v: split_attention(q, k, v, both, scale=0.3), [q, k, v], [cotangent]))
        return mx.get_peak_memory()

    assert peak(2048) < 5 * peak(512)


def test_a_segment_beyond_the_threshold_is_the_textbook_s() -> None:
    q, k, v, cotangent = draw(1, 4, 2, 400, 8)
    starts = [[0, 300, 400]]
    mask = mx.array(allowed(400, segments_of(starts), None))
    left = mx.vjp(lambda q, k, v: split_attention(q, k, v, starts, scale=0.3), [q, k, v], [cotangent])
    right = mx.vjp(lambda q, k, v: plain(mx, q, k, v, mask, 0.3, None), [q, k, v], [cotangent])
    for a, b in zip(left[0] + left[1], right[0] + right[1], strict=True):
        assert apart(a, b) < 1e-5
