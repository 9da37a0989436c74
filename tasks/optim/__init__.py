"""Optimizers, schedules and clipping.

An optimizer is a frozen record that builds MLX's own and says the rate of each step. To add one, write its file,
its YAML and its test, and name it in `AnyOptimizer`.
"""

from typing import Protocol

import mlx.optimizers

from tasks.artifact import kinds
from tasks.optim.adamw import AdamW
from tasks.optim.clip import clip, global_norm
from tasks.optim.learning_rate import Schedule, rate, warmup_steps
from tasks.optim.optimizer_state import load_state, state_arrays

__all__ = [
    "OPTIMIZERS",
    "AdamW",
    "AnyOptimizer",
    "OptimizerConfig",
    "Schedule",
    "clip",
    "global_norm",
    "load_state",
    "rate",
    "state_arrays",
    "warmup_steps",
]


class OptimizerConfig(Protocol):
    """The interface of a configured optimizer to the trainer."""

    @property
    def kind(self) -> str: ...

    @property
    def clip_norm(self) -> float | None: ...

    def build(self) -> mlx.optimizers.Optimizer:
        """A fresh optimizer without state."""
        ...

    def rate(self, step: int, total_steps: int) -> float:
        """The learning rate of update number `step`, counted from 0."""
        ...


AnyOptimizer = AdamW
"""A configured optimizer; `Annotated[AdamW | Lion, Field(discriminator="kind")]` where there are two."""

OPTIMIZERS: dict[str, type[AnyOptimizer]] = kinds(AnyOptimizer)
"""The kinds of the `optim` config group."""
