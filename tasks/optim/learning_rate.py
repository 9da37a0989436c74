"""The learning rate of each step, as a pure function: no state to save, and a resumed run continues exactly.

Steps count from 0. The warm-up's first step already has a rate above zero, and so has the last one of a decay to
zero: no update is computed only to be thrown away.
"""

import math
from typing import Literal

from tasks.errors import ConfigError

Schedule = Literal["constant", "linear", "cosine"]


def warmup_steps(warmup: int | float, total_steps: int) -> int:
    """Whole steps of warm-up: a `warmup` below 1 is a share of all steps (rounded up), otherwise steps.

    Raises:
        ConfigError: it is longer than the run, which would then never reach its learning rate.

    Example:
        >>> warmup_steps(0.03, 200), warmup_steps(10, 200), warmup_steps(0, 200)
        (6, 10, 0)
    """
    # The tolerance keeps a share such as 0.07 of 100 steps at 7, where the float product is 7.000000000000001.
    steps = math.ceil(warmup * total_steps - 1e-9) if warmup < 1 else int(warmup)
    if steps > total_steps:
        raise ConfigError(
            f"optim.warmup is {steps} steps, the run has {total_steps}: give fewer, or a share of the run, e.g. 0.05"
        )
    return steps


def rate(
    step: int,
    total_steps: int,
    *,
    lr: float,
    schedule: Schedule = "constant",
    warmup: int | float = 0,
    min_lr: float = 0.0,
) -> float:
    """The learning rate of update number `step`, counted from 0.

    It rises over w steps of warm-up as lr * (step + 1) / w, then falls from lr towards lr * min_lr along a line or
    half a cosine, which `total_steps` would reach; past the end it stays there.

    Args:
        total_steps: updates of the whole run, those before a resume included.
        warmup: whole steps, or below 1 a share of `total_steps`.
        min_lr: where the decay ends, as a share of lr.

    Example:
        >>> [rate(step, 4, lr=1.0, schedule="linear", warmup=2) for step in range(5)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    assert step >= 0, step
    warm = warmup_steps(warmup, total_steps)
    if step < warm:
        return lr * (step + 1) / warm
    progress = min(1.0, (step - warm) / max(1, total_steps - warm))
    match schedule:
        case "constant":
            share = 1.0
        case "linear":
            share = 1.0 - progress
        case "cosine":
            share = (1.0 + math.cos(math.pi * progress)) / 2
    return lr * (share if schedule == "constant" else min_lr + (1 - min_lr) * share)
