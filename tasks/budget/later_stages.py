"""What the stages of a run hold beside the training step, and what to say of one that holds too much."""

import logging
from collections.abc import Callable

import mlx.nn as nn

from tasks.batch import Rows
from tasks.budget.answering import most_at_once
from tasks.budget.demand import Demand
from tasks.budget.scoring import scoring
from tasks.memory import GB, Memory
from tasks.score.held_out import HeldOut
from tasks.settings import Evaluate
from tasks.step.recipe import Recipe

log = logging.getLogger(__name__)

Stages = dict[str, int]
"""Bytes that each stage holds at most, by its name in WHAT; one that cannot be told is left out."""

WHAT = {
    "validation": "validating between the steps",
    "loss": "the held-out loss",
    "answers": "generating the held-out answers",
    "verification": "recording and verifying the adapter",
}

FIX = {
    "validation": "fewer batch.tokens, or shorter validation rows (data.max_tokens), hold less",
    "loss": "shorter held-out rows (data.max_tokens) hold less",
    "answers": "even one at a time; fewer evaluate.max_new_tokens or shorter rows hold less, evaluate=loss_only none",
    "verification": "fewer verify.probe_tokens or fewer verify.checks hold less",
}


def evaluating(model: nn.Module, held_out: HeldOut, settings: Evaluate, memory: Memory) -> Stages:
    """What scoring and answering the held-out rows holds, as many answers at once as keep to the budget.

    Args:
        model: the base with the adapter attached, its arrays lazy.
        held_out: the rows.
        settings: how long an answer may be.
        memory: its budget.
    """
    if not len(held_out.rows):
        return {}
    found = told("loss", lambda: scoring(model, held_out.rows))
    if held_out.asked:
        asked, longest, new = len(held_out.asked), held_out.longest_prompt, settings.max_new_tokens
        found |= told("answers", lambda: most_at_once(model, asked, longest, new, memory.budget)[1])
    return found


def validating(demand: Demand, recipe: Recipe, rows: Rows | None) -> Stages:
    """What validating holds: the optimizer's state is there, but nothing is kept for a backward pass."""
    return {} if rows is None else told("validation", lambda: demand.validation(recipe, rows))


def told(name: str, ask: Callable[[], int | None]) -> Stages:
    """What a stage holds by its name; empty, and said, where it cannot be told."""
    try:
        held = ask()
    except Exception as error:  # of an operation that MLX does not tell, or an exotic model: the run may go well
        log.warning("what %s holds cannot be told (%s)", WHAT[name], error)
        return {}
    return {} if held is None else {name: held}


def excess(stages: Stages, memory: Memory) -> str | None:
    """What to say of the stage that holds the most, if that is more than the budget.

    Example:
        >>> excess({"loss": 3 * GB, "answers": GB}, Memory(limit_gb=2))[:53]
        'the held-out loss would hold 3 GB, the budget is 2 GB'
    """
    name = max(stages, key=lambda name: stages[name], default=None)
    if name is None or stages[name] <= memory.budget:
        return None
    return f"{WHAT[name]} would hold {stages[name] / GB:.3g} GB, the budget is {memory.told}: {FIX[name]}"
