"""Finds the batches that need the most memory, so that a run can be judged by its worst step.

They are found by the lengths of the examples, without laying a batch out. Which of several measures decides depends on
the model, the layout and the device, so the largest by each is given: positions, pairs that attention compares,
segments, the longest segment, positions that count.
"""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np

from tasks.attention.batched import KEPT
from tasks.batch.batch import Batch
from tasks.batch.stream import Layout, Rows, epoch_batches, lay, width_of

EXAMPLES = 20_000
"""The most examples whose weights are read; in any further one every position is taken to count."""


def heaviest(rows: Rows, layout: Layout, *, seed: int, batches: int) -> list[Batch]:
    """The largest of the first batches of a run by each measure; a few batches, none of them twice.

    Args:
        rows: what is trained on.
        layout: how examples become batches.
        seed: of their order.
        batches: how many the run takes.
    """
    plan = list(islice(_plans(rows, layout, seed), batches))
    lengths = np.maximum(1, np.asarray(rows.lengths, np.int64) - 1)
    sizes = np.array([_sizes(batch, width_of(rows.lengths, layout, batch), lengths) for batch in plan])
    chosen = [_largest(np.roll(sizes, -n, axis=1)) for n in range(sizes.shape[1])]
    chosen.append(_most_counted(rows, plan, lengths))
    return [lay(rows, layout, plan[n]) for n in dict.fromkeys(chosen)]


def _plans(rows: Rows, layout: Layout, seed: int) -> Iterator[list[list[int]]]:
    for epoch in count():
        yield from epoch_batches(rows, layout, seed=seed, epoch=epoch)


def _sizes(batch: list[list[int]], width: int, lengths: np.ndarray) -> tuple[int, int, int, int, int]:
    """Positions, pairs, those of segments up to KEPT, segments and the longest; a row's padding is one of its own."""
    segments = [lengths[row].tolist() for row in batch]
    padded = [[*row, width - sum(row)] for row in segments]
    flat = [n for row in padded for n in row if n > 0]
    kept = sum(n * n for n in flat if n <= KEPT)
    return len(batch) * width, sum(n * n for n in flat), kept, len(flat), max(flat)


def _largest(sizes: np.ndarray) -> int:
    """The row that is largest by the first column; of equal ones by the second, and so on."""
    return int(np.lexsort(sizes.T[::-1])[-1])


def _most_counted(rows: Rows, plan: list[list[list[int]]], lengths: np.ndarray) -> int:
    """The batch with the most positions of a weight above 0."""
    most = [sum(int(lengths[row].sum()) for row in batch) for batch in plan]
    found, best, known = 0, -1, dict[int, int]()
    for n in np.argsort(most)[::-1].tolist():
        if most[n] <= best:
            break  # no batch beyond has as many positions
        counted = 0
        for i in (i for row in plan[n] for i in row):
            if i not in known and len(known) < EXAMPLES:
                known[i] = int(np.count_nonzero(rows.weights(i)[1:]))
            counted += known.get(i, int(lengths[i]))
        if counted > best:
            found, best = n, counted
    return found
