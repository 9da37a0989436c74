"""Predicts the peak memory of the loss over rows: a forward pass with no backward, by batches of its own.

A small adapter trained on short batches may need less than the scoring of its held-out rows.
"""

import mlx.core as mx

from tasks.batch import Batch, Layout, Rows, epoch_batches
from tasks.budget.heaviest import heaviest
from tasks.budget.peak import peak_bytes
from tasks.step.forward import Arrays, Forward


def scoring(forward: Forward, rows: Rows, layout: Layout, *, batches: int | None = None) -> int:
    """Predicts the most bytes that the loss over rows needs, the model's weights included; nothing is computed.

    Args:
        forward: how a batch's loss is computed.
        rows: what is scored.
        layout: how they are laid out.
        batches: the most batches that are scored; None takes every row once.

    Raises:
        ValueError: an operation of the model that MLX does not export.
    """
    most = len(epoch_batches(rows, layout, seed=0, epoch=0))
    found = heaviest(rows, layout, seed=0, batches=min(most, batches or most))
    return max(_batch_bytes(forward, batch) for batch in found)


def _batch_bytes(forward: Forward, batch: Batch) -> int:
    arrays = forward.arrays(batch)
    boundaries = {name: tree for name, tree in arrays.items() if name == "boundaries"}  # numbers, not arrays

    def total(traced: Arrays) -> list[mx.array]:
        return list(forward.evaluated({**traced, **boundaries}))

    return peak_bytes(forward.model, total, {name: tree for name, tree in arrays.items() if name not in boundaries})
