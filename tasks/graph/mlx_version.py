"""The version of MLX whose rules of evaluation this room copies: another one may evaluate in another way."""

import logging
from functools import cache

import mlx.core as mx

log = logging.getLogger(__name__)

RULES_OF = "0.32.4"
"""Renew the rules, then this: order, queue, buffers, fuse, replay and stand_ins (tests/bench/memory_model.py measures
how far predictions are off)."""


def warn_of_other_rules() -> None:
    """Logs a warning, once in a process, where predictions are made for another MLX than the one that is installed."""
    _warn(mx.__version__)  # pyright: ignore[reportAttributeAccessIssue]


@cache
def _warn(installed: str) -> None:
    if installed != RULES_OF:
        log.warning(
            "memory is predicted by the rules of MLX %s, you have %s: predictions may be off; install mlx==%s",
            *(RULES_OF, installed, RULES_OF),
        )
