"""Predicts the peak memory of the loss over rows: a forward pass with no backward, by batches of its own.

A small adapter trained on short batches may need less than the scoring of its held-out rows.
"""

from typing import Any

import mlx.core as mx

from tasks.batch import Layout, Rows, epoch_batches
from tasks.budget.anatomy import Anatomy
from tasks.budget.heaviest import heaviest
from tasks.budget.peak import peak_bytes
from tasks.loss import MaskedCrossEntropy
from tasks.score.held_out_loss import CHUNK, SCORED
from tasks.step.forward import Forward


def scoring(
    anatomy: Anatomy,
    rows: Rows,
    *,
    forward: Forward | None = None,
    layout: Layout = SCORED,
    batches: int | None = None,
) -> int:
    """Predicts the most bytes that the loss over rows needs, the model's weights included; nothing is computed.

    Args:
        anatomy: of the model that scores them.
        rows: what is scored.
        forward: how a batch's loss is computed; None takes the held-out score's own.
        layout: how they are laid out.
        batches: the most batches that are scored; None takes every row once.

    Raises:
        ValueError: an operation of the model that MLX does not export.
    """
    if forward is None:
        forward = anatomy.forward(MaskedCrossEntropy(), chunk=CHUNK)
    most = len(epoch_batches(rows, layout, seed=0, epoch=0))
    found = heaviest(rows, layout, seed=0, batches=min(most, batches or most))
    return max(_batch_bytes(forward, forward.arrays(batch)) for batch in found)


def _batch_bytes(forward: Forward, arrays: dict[str, Any]) -> int:
    boundaries = {name: array for name, array in arrays.items() if name == "boundaries"}

    def total(batch: dict[str, Any]) -> list[mx.array]:
        return list(forward.evaluated({**batch, **boundaries}))

    return peak_bytes(forward.model, total, {name: array for name, array in arrays.items() if name not in boundaries})
