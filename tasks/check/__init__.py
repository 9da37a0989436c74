"""The checks of a verdict: each takes a Subject, an adapter on disk, and returns whether it passed and what it saw.

To add one, write its file with a `check` function and its test, and one line in CHECKS and in tasks/settings.py.
"""

from collections.abc import Callable

from tasks.check import (
    adjoint,
    checkpoint_gradients,
    files,
    frozen_base,
    mlx_lm_logits,
    reload_logits,
    resave_bytes,
)
from tasks.check.subject import Finding, Subject
from tasks.settings import Check

CHECKS: dict[Check, Callable[[Subject], Finding]] = {
    "files": files.check,
    "reload_logits": reload_logits.check,
    "resave_bytes": resave_bytes.check,
    "frozen_base": frozen_base.check,
    "mlx_lm_logits": mlx_lm_logits.check,
    "adjoint": adjoint.check,
    "checkpoint_gradients": checkpoint_gradients.check,
}

__all__ = ["CHECKS", "Finding", "Subject"]
