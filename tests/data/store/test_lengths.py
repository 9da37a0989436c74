"""Percentiles and bins of lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.store.lengths import describe_lengths


@given(st.lists(st.integers(1, 2_000_000), min_size=1, max_size=60))
def test_the_bins_hold_every_example_once(values: list[int]):
    found = describe_lengths(np.array(values))
    assert sum(bin.examples for bin in found.histogram) == len(values)
    assert (found.histogram[0].least, found.histogram[-1].most) == (found.min, found.max) == (min(values), max(values))
    for bin, behind in zip(found.histogram, found.histogram[1:], strict=False):
        assert bin.least <= bin.most == behind.least - 1
    assert all(bin.examples == sum(bin.least <= v <= bin.most for v in values) for bin in found.histogram)
    assert 1 <= len(found.histogram) <= 16
    assert {found.p50, found.p90, found.p95, found.p99} <= set(values)


@pytest.mark.parametrize(("percent", "name"), [(50, "p50"), (90, "p90"), (95, "p95"), (99, "p99")])
def test_percentiles(percent: int, name: str):
    assert getattr(describe_lengths(np.arange(1, 101)), name) == percent


def test_close_lengths_get_fine_bins_and_far_ones_few():
    assert len(describe_lengths(np.arange(30, 46)).histogram) >= 5
    assert len(describe_lengths(np.array([1, 1_000_000])).histogram) <= 16
