"""Losses: each returns a sum and a count, and the caller divides once.

A loss is a frozen record that is also the callable: decode `conf/loss/x.yaml` into it, then call it. To add one,
write its file, its YAML and its test, and name it in `AnyLoss`.
"""

from typing import Annotated, ClassVar, Protocol

import mlx.core as mx
from pydantic import Field

from tasks.artifact import kinds
from tasks.loss.cross_entropy import CrossEntropy, cross_entropy
from tasks.loss.masked_cross_entropy import MaskedCrossEntropy, masked_cross_entropy
from tasks.loss.mse import MSE, mse
from tasks.loss.sums import LossSum, weighted_sum

__all__ = [
    "LOSSES",
    "MSE",
    "AnyLoss",
    "CrossEntropy",
    "Loss",
    "LossSum",
    "MaskedCrossEntropy",
    "cross_entropy",
    "masked_cross_entropy",
    "mse",
    "weighted_sum",
]


class Loss(Protocol):
    """The interface of a loss to the trainer.

    Attributes:
        kind: its name in LOSSES and in `conf/loss/`.
        supervised_only: True when the weights it wants are the supervision mask; False when it counts every real
            token, and the weights are 1 for those and 0 for padding.
    """

    supervised_only: ClassVar[bool]

    @property
    def kind(self) -> str: ...

    def per_token(self, logits_NV: mx.array, targets_N: mx.array) -> mx.array:
        """float32 [N]; each entry depends on its own row alone, so that rows can come chunk by chunk."""
        ...

    def __call__(self, logits: mx.array, targets: mx.array, weights: mx.array) -> LossSum:
        """The sum of weights [...] * per-token losses, and the sum of the weights."""
        ...


AnyLoss = Annotated[CrossEntropy | MaskedCrossEntropy | MSE, Field(discriminator="kind")]
"""A configured loss. A new one is named here, and nowhere else."""

LOSSES: dict[str, type[AnyLoss]] = kinds(AnyLoss)
"""The kinds of the `loss` config group."""
