import numpy as np

from tasks.batch import Packed, Padded, heaviest, stream
from tasks.batch.heaviest import pairs
from tests.bench.rows import BenchRows

ROWS = BenchRows(np.array([9, 40, 9, 20, 33, 300, 12, 250]), 64)


def test_none_is_larger_in_any_way() -> None:
    for layout in (Padded(size=2), Packed(tokens=64, size=2)):
        found = heaviest(ROWS, layout, seed=3, batches=20)
        source = stream(ROWS, layout, seed=3)
        seen = [next(source) for _ in range(20)]
        for size in (lambda b: b.inputs_BT.size, pairs, lambda b: np.count_nonzero(b.weights_BT)):
            assert max(map(size, found)) == max(map(size, seen))
        assert 1 <= len(found) <= 3


def test_only_the_batches_of_the_run_count() -> None:
    source = stream(ROWS, Padded(size=1), seed=0)
    first = next(source)
    (found,) = heaviest(ROWS, Padded(size=1), seed=0, batches=1)
    assert found.examples == first.examples
