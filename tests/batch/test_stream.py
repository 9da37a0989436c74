from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.batch import (
    LAYOUTS,
    Bucketed,
    Packed,
    Padded,
    batches,
    epoch_batches,
    first_tokens,
    padding_share,
    shapes,
    stream,
    windows,
)
from tests.batch.rows import MemoryRows, lengths

layouts = st.sampled_from(
    [Padded(size=1), Padded(size=7), Bucketed(tokens=64), Bucketed(tokens=2048), Packed(tokens=64, size=3), Packed()]
)


def test_the_table_names_each_class_by_its_kind():
    assert {kind: LAYOUTS[kind]().kind for kind in LAYOUTS} == {kind: kind for kind in LAYOUTS}


@settings(max_examples=40)
@given(lengths, layouts, st.integers(1, 3))
def test_an_epoch_uses_every_example_once(lengths, layout, epochs):
    rows = MemoryRows(lengths)
    taken = sum(len(epoch_batches(rows, layout, seed=3, epoch=n)) for n in range(epochs))
    seen = Counter(i for batch in islice(stream(rows, layout, seed=3), taken) for i in batch.examples)
    assert seen == dict.fromkeys(range(len(rows)), epochs)


@settings(max_examples=40)
@given(lengths, layouts, st.integers(0, 30))
def test_starting_later_is_having_skipped(lengths, layout, start):
    rows = MemoryRows(lengths)
    skipped = islice(stream(rows, layout, seed=1), start, start + 5)
    started = islice(stream(rows, layout, seed=1, start=start), 5)
    for one, other in zip(skipped, started, strict=True):
        assert one.examples == other.examples
        np.testing.assert_array_equal(one.inputs_BT, other.inputs_BT)


def test_epochs_differ_and_repeat():
    rows, layout = MemoryRows([9] * 50), Padded(size=4)
    first, second = (epoch_batches(rows, layout, seed=0, epoch=n) for n in (0, 1))
    assert first != second
    assert first == epoch_batches(rows, layout, seed=0, epoch=0) != epoch_batches(rows, layout, seed=1, epoch=0)


def test_one_epoch_is_the_head_of_the_stream():
    rows, layout = MemoryRows([9, 40, 70]), Bucketed(tokens=64)
    epoch = [batch.examples for batch in batches(rows, layout, seed=0)]
    assert epoch == [batch.examples for batch in islice(stream(rows, layout, seed=0), len(epoch))]


@settings(max_examples=40)
@given(lengths, layouts)
def test_the_padding_share_is_what_the_batches_hold(lengths, layout):
    rows = MemoryRows(lengths)
    real = slots = 0.0
    for batch in batches(rows, layout, seed=2):
        real, slots = real + float(batch.real_BT.sum()), slots + batch.real_BT.size
    assert padding_share(rows, layout, seed=2) == pytest.approx(1 - real / slots)


def test_buckets_pad_less_than_random_batches():
    rows = MemoryRows(np.random.default_rng(0).lognormal(5, 0.8, 400).astype(int).clip(2, 1500).tolist())
    assert padding_share(rows, Bucketed(tokens=2048), seed=0) < 0.15 < 0.4 < padding_share(rows, Padded(), seed=0)


def test_an_empty_split_has_no_batches():
    with pytest.raises(AssertionError, match="empty split"):
        next(stream(MemoryRows([]), Padded(), seed=0))


def test_a_packed_epoch_has_hardly_any_padding_and_few_shapes():
    rows = MemoryRows(np.random.default_rng(0).lognormal(5.25, 0.8, 2000).astype(int).clip(2, 4000).tolist())
    assert padding_share(rows, Packed(tokens=2048), seed=0) < 0.02
    assert shapes(rows, Packed(tokens=2048, size=2), seed=0) <= {(2, 2048), (1, 4096)}
    assert len(shapes(rows, Bucketed(tokens=2048), seed=0)) > 4


def test_the_first_tokens_are_those_of_the_first_rows_cut():
    rows = MemoryRows([3, 4, 5])
    assert first_tokens(rows, 5) == [0, 1, 2, 1, 2]
    assert first_tokens(rows, 99) == [0, 1, 2, 1, 2, 3, 4, 2, 3, 4, 5, 6]


@settings(max_examples=40)
@given(lengths, layouts, st.integers(1, 9), st.integers(0, 12))
def test_a_window_never_spans_two_epochs(lengths, layout, size, start):
    rows = MemoryRows(lengths)
    counts = [len(epoch_batches(rows, layout, seed=2, epoch=n)) for n in range(2)]
    steps = [-(-count // size) for count in counts]
    walked = list(islice(windows(rows, layout, seed=2, size=size), sum(steps)))
    for first, last in ((0, steps[0]), (steps[0], sum(steps))):
        seen = Counter(i for window in walked[first:last] for batch in window for i in batch.examples)
        assert seen == dict.fromkeys(range(len(rows)), 1)
        assert all(len(window) == size for window in walked[first : last - 1])
    ahead = list(islice(windows(rows, layout, seed=2, size=size, start=start), 3))
    again = list(islice(windows(rows, layout, seed=2, size=size), start, start + 3))
    assert [[batch.examples for batch in window] for window in ahead] == [
        [batch.examples for batch in window] for window in again
    ]
