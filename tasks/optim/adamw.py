"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

The update is MLX's own, with the bias correction that MLX leaves off by default: without it the first steps are
sqrt(1 - beta2) / (1 - beta1) times what they should be, and a LoRA run of the usual length never recovers from them.
"""

from typing import Annotated, Literal, Self

import mlx.optimizers
from pydantic import Field, field_validator, model_validator

from tasks.artifact import Record
from tasks.optim.learning_rate import Schedule, rate

LEAST_SHARE = 1e-3
"""The least share of lr above 0 that `min_lr` may be: less is a rate, which `min_lr` is in other tools."""


class AdamW(Record):
    """The optimizer as configured: `conf/optim/adamw.yaml`.

    Attributes:
        lr: the learning rate after warm-up.
        weight_decay: each step takes lr * weight_decay of every trained weight away.
        betas: decay of the running means of the gradient and of its square, each in [0, 1).
        eps: added to the denominator.
        clip_norm: largest global norm of the gradients; None clips nothing.
        schedule: how the rate changes after warm-up.
        warmup: whole steps; or below 1, a share of all steps.
        min_lr: where the schedule ends, as a share of lr: 0, or from LEAST_SHARE to 1.
        lr_end: where it ends as a rate, above 0 and at most lr; give this or `min_lr`.

    Example:
        >>> AdamW(lr=1e-3, warmup=10).rate(0, total_steps=100)
        0.0001
    """

    kind: Literal["adamw"] = "adamw"
    lr: float = Field(default=2e-4, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    betas: Annotated[tuple[float, float], Field(strict=False)] = (0.9, 0.999)  # not strict: YAML has lists, no tuples
    eps: float = Field(default=1e-8, gt=0)
    clip_norm: float | None = Field(default=1.0, gt=0)
    schedule: Schedule = "cosine"
    warmup: int | float = Field(default=0.03, ge=0)
    min_lr: float = Field(default=0.0, ge=0, le=1)
    lr_end: float | None = Field(default=None, gt=0)

    @field_validator("betas")
    @classmethod
    def _below_one(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are {list(betas)}; each must be at least 0 and below 1")
        return betas

    @field_validator("warmup")
    @classmethod
    def _whole_or_share(cls, warmup: int | float) -> int | float:
        if warmup >= 1 and warmup != int(warmup):
            raise ValueError(f"warmup is {warmup}; give whole steps, or a share below 1")
        return warmup

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if 0 < self.min_lr < LEAST_SHARE:
            raise ValueError(
                f"min_lr={self.min_lr:g} is a share of lr here, and the rate would end at {self.min_lr * self.lr:.3g}; "
                f"a rate is lr_end={self.min_lr:g}, a share at least {LEAST_SHARE:g}, and min_lr=0 ends at 0"
            )
        if self.lr_end is not None and self.min_lr:
            raise ValueError(
                f"min_lr={self.min_lr:g} (a share of lr) and lr_end={self.lr_end:g} (a rate) both say where the "
                "schedule ends; give one of them"
            )
        if self.lr_end is not None and self.lr_end > self.lr:
            raise ValueError(f"lr_end={self.lr_end:g} is above lr={self.lr:g}; a share of lr is min_lr")
        return self

    def build(self) -> mlx.optimizers.AdamW:
        """A fresh MLX optimizer. Its rate is `lr` until the caller sets `learning_rate` from `rate`, every step."""
        return mlx.optimizers.AdamW(
            learning_rate=self.lr,
            betas=list(self.betas),
            eps=self.eps,
            weight_decay=self.weight_decay,
            bias_correction=True,
        )

    def rate(self, step: int, total_steps: int) -> float:
        """The learning rate of update number `step`, counted from 0, of `total_steps`.

        Raises:
            ConfigError: the warm-up is longer than the run.
        """
        end = self.min_lr if self.lr_end is None else self.lr_end / self.lr
        return rate(step, total_steps, lr=self.lr, schedule=self.schedule, warmup=self.warmup, min_lr=end)
