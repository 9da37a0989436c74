"""The loss of one batch under a model, and the mean over many: what training differentiates and validation reads."""

from collections.abc import Iterable

import mlx.core as mx
import mlx.nn as nn

from tasks.batch import Batch
from tasks.loss import Loss, LossSum


def batch_loss(model: nn.Module, loss: Loss, batch: Batch) -> LossSum:
    """The loss over a batch, as sum and count.

    Args:
        model: ids [B, T] -> logits [B, T, V], causal.
        loss: what is summed; it says whether it counts supervised targets or every real one.
        batch: NumPy arrays, B rows of T positions.
    """
    logits_BTV = model(mx.array(batch.inputs_BT))
    weights_BT = batch.weights_BT if loss.supervised_only else batch.real_BT
    return loss(logits_BTV, mx.array(batch.targets_BT), mx.array(weights_BT))


def mean_loss(model: nn.Module, loss: Loss, batches: Iterable[Batch]) -> float:
    """The loss over all batches, divided once by their whole count; in nats. The model is left in evaluation mode."""
    model.eval()
    total = count = 0.0
    for batch in batches:
        part = batch_loss(model, loss, batch)
        mx.eval(part)
        total += part.total.item()
        count += part.count.item()
    assert count > 0, "no supervised token in any batch"
    return total / count
