"""What scoring rows holds at most: a forward pass with no backward, by batches of its own.

A small adapter trained on short batches holds less than the scoring of its held-out rows does, before training and
after it.
"""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from tasks.attention import backend
from tasks.batch import Bucketed, Layout, Rows, epoch_batches, heaviest
from tasks.loss import Loss, MaskedCrossEntropy
from tasks.memory.queue import queue_of
from tasks.memory.replay import replay
from tasks.memory.trace import trace
from tasks.model.head import find_head
from tasks.step.forward import Forward, own_ways
from tasks.step.update import named

SCORED = Bucketed(tokens=2048)
"""How held-out rows are laid out for their score."""


def scoring(model: nn.Module, rows: Rows, *, loss: Loss | None = None, layout: Layout = SCORED) -> int:
    """Bytes that the loss over rows holds at most, the model's own weights included; nothing is computed.

    Args:
        model: ids -> logits, its arrays lazy.
        rows: what is scored; all of them, once.
        loss: what is summed; None takes the masked cross entropy.
        layout: how they are laid out.

    Raises:
        ValueError: an operation of the model that MLX does not tell of.
    """
    whole: Any = named(model.parameters())
    forward = Forward(model, loss or MaskedCrossEntropy(), find_head(model, prove=False), alone=True)
    most = len(epoch_batches(rows, layout, seed=0, epoch=0))
    held = [_held(model, forward, forward.arrays(b)) for b in heaviest(rows, layout, seed=0, batches=most)]
    return sum({id(array): array.nbytes for array in whole.values()}.values()) + max(held)


def _held(model: nn.Module, forward: Forward, arrays: dict[str, Any]) -> int:
    """What a batch holds beside the weights."""
    before = model.parameters()
    given: Any = tree_flatten([before, arrays])
    names = [name for name, _ in given]

    def total(*flat: mx.array) -> list[mx.array]:
        parameters, batch = tree_unflatten(list(zip(names, flat, strict=True)))  # type: ignore[misc]
        model.update(parameters)
        with own_ways(model):
            return list(forward(batch, backward=False))

    training = model.training
    model.eval()
    try:
        return replay(trace(total, *(array for _, array in given)), queue_of(backend())).nbytes
    finally:
        model.update(before)
        model.train(training)
