"""The loss over held-out rows: the masked cross entropy, in batches and chunks of its own."""

import mlx.nn as nn

from tasks.batch import Bucketed, Rows, batches
from tasks.loss import MaskedCrossEntropy
from tasks.model.head import find_head
from tasks.step.forward import Forward

SCORED = Bucketed(tokens=2048)
"""How held-out rows are laid out for their score."""

CHUNK = 1024
"""Positions whose logits are alive at a time there."""


def held_out_loss(model: nn.Module, rows: Rows) -> float:
    """The mean masked cross entropy of the rows, nats a supervised token.

    Args:
        model: ids [B, L] -> logits.
        rows: what is scored.
    """
    return Forward(model, MaskedCrossEntropy(), find_head(model), chunk=CHUNK).mean(batches(rows, SCORED, seed=0))
