"""Gradients: reverse and forward products, checkpointing, accumulation over micro-batches, and checks of all that."""

from tasks.grad.accumulate import Part, accumulate, add, divide
from tasks.grad.checkpoint import checkpoint
from tasks.grad.checkpoint_blocks import checkpoint_blocks, is_checkpointed
from tasks.grad.gap import Gap, adjoint_gap, difference_gap, differences, directional
from tasks.grad.granularity import recomputed
from tasks.grad.products import jvp, vjp
from tasks.grad.value_and_grad import value_and_grad

__all__ = [
    "Gap",
    "Part",
    "accumulate",
    "add",
    "adjoint_gap",
    "checkpoint",
    "checkpoint_blocks",
    "difference_gap",
    "differences",
    "directional",
    "divide",
    "is_checkpointed",
    "jvp",
    "recomputed",
    "value_and_grad",
    "vjp",
]
