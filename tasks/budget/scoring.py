"""Peak bytes of the loss over rows: a forward pass with no backward, by batches of its own.

Training a small adapter on short batches takes less than scoring its held-out rows.
"""

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from tasks.batch import Layout, Rows, epoch_batches
from tasks.budget.heaviest import heaviest
from tasks.budget.peak import peak_bytes
from tasks.budget.training import builds_alone
from tasks.loss import MaskedCrossEntropy
from tasks.model.head import find_head
from tasks.score.held_out_loss import CHUNK, SCORED
from tasks.step.forward import Forward, training_kernels


def scoring(
    model: nn.Module,
    rows: Rows,
    *,
    forward: Forward | None = None,
    layout: Layout = SCORED,
    batches: int | None = None,
) -> int:
    """Predicts the most bytes that the loss over rows takes, the model's weights included; nothing is computed.

    Args:
        model: ids -> logits, its arrays lazy.
        rows: what is scored.
        forward: how a batch's loss is computed; None takes the held-out score's own.
        layout: how they are laid out.
        batches: the most batches that are scored; None takes every row once.

    Raises:
        ValueError: the model has an operation that MLX cannot export.
    """
    if forward is None:
        head = find_head(model, prove=False)
        forward = Forward(model, MaskedCrossEntropy(), head, chunk=CHUNK, alone=builds_alone(model))
    most = len(epoch_batches(rows, layout, seed=0, epoch=0))
    batches_asking_most = heaviest(rows, layout, seed=0, batches=min(most, batches or most))
    return max(_peak(model, forward, forward.arrays(batch)) for batch in batches_asking_most)


def _peak(model: nn.Module, forward: Forward, arrays: dict[str, Any]) -> int:
    boundaries = {name: array for name, array in arrays.items() if name == "boundaries"}

    def total(batch: dict[str, Any]) -> list[mx.array]:
        with training_kernels(model):
            return list(forward({**batch, **boundaries}, backward=False))

    return peak_bytes(model, total, {name: array for name, array in arrays.items() if name not in boundaries})
