"""The plan of tiles covers every pair that may attend, and none twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.attention.tiles import plan, visible


@given(L=st.integers(1, 60), block=st.integers(1, 20), reach=st.integers(1, 70), spare=st.sampled_from([1, 300, 10**6]))
def test_every_visible_pair_is_in_one_tile(L: int, block: int, reach: int, spare: int) -> None:
    count = np.zeros((L, L), int)
    for band in plan(L, block, reach, spare):
        for tile in band.tiles:
            seen = visible(band, tile, reach, None)
            shape = band.stop - band.start, tile.stop - tile.start
            count[band.start : band.stop, tile.start : tile.stop] += (
                np.ones(shape, int) if seen is None else np.array(seen)[0, 0, 0]
            )
            assert tile.start % block == 0
            assert tile.start < tile.stop
        assert band.tiles[-1].stop == band.stop
    at = np.arange(L)
    assert (count == ((at[:, None] >= at) & (at[:, None] - at < reach))).all()


def test_blocks_beyond_the_window_are_left_out() -> None:
    pairs = sum(
        (band.stop - band.start) * (tile.stop - tile.start)
        for band in plan(4096, 256, 256, spare=2**17)
        for tile in band.tiles
    )
    assert pairs <= 4096 * 512


def test_sizes_below_one() -> None:
    with pytest.raises(ValueError, match="block=0"):
        plan(4, 0, 4, 1)
