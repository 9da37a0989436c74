"""What layers share: masks, and segments cut into chunks, against loops over positions."""

from itertools import pairwise
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tasks.attention import Way, packed_cache
from tasks.attention.packed_row import PackedRow, SegmentMask
from tests.attention.families import STARTS, segments_of, tiny
from tests.attention.test_blockwise import allowed

SEGMENTS = segments_of()


def row(segments: mx.array | None = SEGMENTS, way: Way = "blockwise", **options: Any) -> PackedRow:
    return PackedRow(44, segments, mx.float32, way, tiny("qwen3"), **options)


def counted(starts: list[int], chunk: int, first: int = 0) -> list[tuple[int, int]]:
    """For each position the start of its segment, and which of that segment's chunks it is in."""
    return [(a, (first + at - a) // chunk) for a, b in pairwise(starts) for at in range(a, b)]


@pytest.mark.parametrize("window", [None, 1, 7])
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_the_additive_mask(window: int | None, dtype: mx.Dtype) -> None:
    mask = packed_cache(tiny("qwen3"), SEGMENTS, dtype)[0].make_mask(44, window_size=window)
    assert (mask.dtype, mask.shape) == (dtype, (2, 1, 44, 44))
    expected = np.where(allowed(44, SEGMENTS, window), 0.0, -np.inf)
    assert np.array_equal(np.array(mask.astype(mx.float32)), expected)


def test_layers_share_one_mask_for_each_window() -> None:
    caches = packed_cache(tiny("gemma3_text"), SEGMENTS, mx.float32)
    assert caches[0].make_mask(44, window_size=7) is caches[1].make_mask(44, window_size=7)
    assert caches[0].make_mask(44, window_size=7) is not caches[2].make_mask(44)


def test_grouped_scores_get_a_grouped_mask() -> None:
    assert packed_cache(tiny("gemma2"), SEGMENTS, mx.float32)[0].make_mask(44).shape == (2, 1, 1, 44, 44)
    plain = tiny("gemma2", num_key_value_heads=4)
    assert packed_cache(plain, SEGMENTS, mx.float32)[0].make_mask(44).shape == (2, 1, 44, 44)


@pytest.mark.parametrize("chunk", [1, 7, 12, 44])
def test_segments_are_cut_where_their_chunks_are_full(chunk: int) -> None:
    cut = row().segments(chunk)
    assert cut is not None
    for found, starts in zip(np.array(cut), STARTS, strict=True):
        expected = counted(starts, chunk)
        assert [(a == b) for a, b in pairwise(found)] == [(a == b) for a, b in pairwise(expected)]
        assert len(set(found.tolist())) == len(set(expected))
    mask = row().mask(None, chunk, additive=False)[:, 0]
    assert np.array_equal(np.array(mask), np.array(allowed(44, cut, None))[:, 0])


@pytest.mark.parametrize(("chunk", "first"), [(7, 0), (7, 3), (12, 30), (50, 48)])
def test_one_example_is_cut_by_its_own_positions(chunk: int, first: int) -> None:
    alone = row(None, "causal", first=first)
    expected = [n for _, n in counted([0, 44], chunk, first)]
    assert alone.segments(chunk).tolist() == [expected]  # type: ignore[union-attr]
    [cuts] = alone.cuts(chunk, 1) or []
    assert [n for n, (a, b) in enumerate(pairwise(cuts), first // chunk) for _ in range(a, b)] == expected


def test_what_no_segment_passes_cuts_nothing() -> None:
    assert row().segments(45) is SEGMENTS
    assert row(None).segments(45) is None
    assert row(way="split", boundaries=STARTS).cuts(45, 2) is STARTS
    assert row().cuts(7, 2) is None  # boundaries are data
    assert row(None, "causal").cuts(None, 3) == [(0, 44)] * 3
    shared = row()
    assert shared.mask(None, 45, additive=True) is shared.mask(None, additive=True)


def test_boundaries_of_packed_rows_get_those_of_their_chunks() -> None:
    assert row(way="split", boundaries=STARTS).cuts(12, 2) == [[0, 9, 21, 30, 31, 43, 44], [0, 12, 20, 32, 33, 44]]


def test_a_mask_is_causal_where_that_is_all_it_says() -> None:
    alone = row(None, "causal")
    assert SegmentMask(alone, 44, 44) == "causal"
    assert "segment_attention" in SegmentMask(alone, 43)
    assert "segment_attention" in SegmentMask(alone, None, 43)
    assert "segment_attention" in SegmentMask(row(), None)
