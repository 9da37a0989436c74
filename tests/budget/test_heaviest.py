import numpy as np

from tasks.batch import Batch, Packed, Padded, stream
from tasks.budget.heaviest import heaviest
from tests.bench.rows import BenchRows

ROWS = BenchRows(np.array([9, 40, 9, 20, 33, 300, 12, 250]), 64)


def segments(batch: Batch) -> list[int]:
    """The lengths of the segments of a batch, the padding of a row a segment of its own."""
    return [n for row in batch.segments_BT for n in np.unique(row, return_counts=True)[1].tolist()]


def test_none_is_larger_in_any_way() -> None:
    for layout in (Padded(size=2), Packed(tokens=64, size=2)):
        found = heaviest(ROWS, layout, seed=3, batches=20)
        source = stream(ROWS, layout, seed=3)
        seen = [next(source) for _ in range(20)]
        for size in (
            lambda b: b.inputs_BT.size,
            lambda b: sum(n * n for n in segments(b)),
            lambda b: len(segments(b)),
            lambda b: max(segments(b)),
            lambda b: np.count_nonzero(b.weights_BT),
        ):
            assert max(map(size, found)) == max(map(size, seen))
        assert 1 <= len(found) <= 5


def test_only_the_batches_of_the_run_count() -> None:
    source = stream(ROWS, Padded(size=1), seed=0)
    first = next(source)
    (found,) = heaviest(ROWS, Padded(size=1), seed=0, batches=1)
    assert found.examples == first.examples


def test_the_heaviest_of_a_long_epoch_is_found_wherever_it_is() -> None:
    lengths = np.full(5000, 20)
    lengths[4321] = 60
    assert heaviest(BenchRows(lengths, 8), Padded(size=1), seed=0, batches=5000)[0].examples == (4321,)


def test_of_batches_alike_in_length_the_one_that_counts_most_is_found(monkeypatch) -> None:
    rows = BenchRows(np.full(50, 20), 8)
    monkeypatch.setattr(rows, "offset", lambda i: 2 if i == 33 else 15)
    assert (33,) in {batch.examples for batch in heaviest(rows, Padded(size=1), seed=0, batches=50)}
