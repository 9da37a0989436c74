"""The batches that ask most of the memory, so that a run can be judged by its worst step."""

from itertools import islice, pairwise

import numpy as np

from tasks.batch.batch import Batch
from tasks.batch.stream import Layout, Rows, stream

LOOKED_AT = 2000
"""Batches at most: the rest of a long run is of the same kind."""

KEPT = 1024
"""Segments up to it may hold what attention compares in them (on a CPU); at most that many bytes a position and head
times 2, so that memory still grows with the row's length."""


def heaviest(rows: Rows, layout: Layout, *, seed: int, batches: int) -> list[Batch]:
    """Of the first batches of a run, the largest: in positions, in pairs that attention compares or keeps, in targets.

    Args:
        rows: what is trained on.
        layout: how examples become batches.
        seed: of their order.
        batches: how many the run takes.
    """
    found: dict[int, tuple[tuple[float, ...], Batch]] = {}
    for batch in islice(stream(rows, layout, seed=seed), min(batches, LOOKED_AT)):
        counted = float(np.count_nonzero(batch.weights_BT))
        weight = float(batch.inputs_BT.size), pairs(batch), pairs(batch, KEPT), counted
        for n in range(len(weight)):
            turned = weight[n:] + weight[:n]
            if n not in found or turned > found[n][0]:
                found[n] = turned, batch
    return list({id(batch): batch for _, batch in found.values()}.values())


def pairs(batch: Batch, longest: float = np.inf) -> float:
    """Pairs of positions of one segment, padding a segment of its own; of segments up to `longest`.

    Example:
        >>> from tasks.batch import make_batch
        >>> two = [(np.arange(3), np.ones(3)), (np.arange(2), np.ones(2))]
        >>> pairs(make_batch([two], [0, 1], width=4))
        6.0
    """
    ends = [[0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)] for row in batch.segments_BT]
    return float(sum((b - a) ** 2 for row in ends for a, b in pairwise(row) if b - a <= longest))
