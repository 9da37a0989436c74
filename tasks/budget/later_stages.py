"""Predicted memory of a run's other stages, and what to say of one that needs too much."""

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
"""The most bytes that each stage takes, by its name in WHAT; one that cannot be predicted is left out."""

WHAT = {
    "validation": "validating between the steps",
    "loss": "the held-out loss",
    "answers": "generating the held-out answers",
    "verification": "recording and verifying the adapter",
}

FIX = {
    "validation": "fewer batch.tokens, or shorter validation rows (data.max_tokens), need less",
    "loss": "shorter held-out rows (data.max_tokens) need less",
    "answers": "even one at a time; fewer evaluate.max_new_tokens or shorter rows need less, evaluate=loss_only none",
    "verification": "fewer verify.probe_tokens or fewer verify.checks need less",
}


def scoring_stages(model: nn.Module, held_out: HeldOut, settings: Evaluate, memory: Memory) -> Stages:
    """Predicted bytes of scoring and answering, with as many parallel answers as fit.

    Args:
        model: the base with the adapter attached, its arrays lazy.
        held_out: the rows.
        settings: how long an answer may be.
        memory: its budget.
    """
    if not len(held_out.rows):
        return {}
    stages = estimated("loss", lambda: scoring(model, held_out.rows))
    if held_out.asked:
        asked, longest, new = len(held_out.asked), held_out.longest_prompt, settings.max_new_tokens
        stages |= estimated("answers", lambda: most_at_once(model, asked, longest, new, memory.budget)[1])
    return stages


def validation_stage(demand: Demand, recipe: Recipe, rows: Rows | None) -> Stages:
    """Predicted bytes of validating: the optimizer's state is there, but nothing is kept for a backward pass."""
    return {} if rows is None else estimated("validation", lambda: demand.validation(recipe, rows))


def estimated(name: str, ask: Callable[[], int | None]) -> Stages:
    """Returns a stage's bytes by its name; nothing, with a warning, where they cannot be predicted."""
    try:
        nbytes = ask()
    except Exception as error:  # an operation that MLX cannot export, or an exotic model: the run may go well
        log.warning("cannot predict the memory of %s (%s); it is not checked", WHAT[name], error)
        return {}
    return {} if nbytes is None else {name: nbytes}


def excess(stages: Stages, memory: Memory) -> str | None:
    """Says which stage needs the most, if that is more than the budget.

    Example:
        >>> excess({"loss": 3 * GB, "answers": GB}, Memory(limit_gb=2))[:53]
        'the held-out loss would need 3 GB, the budget is 2 GB'
    """
    name = max(stages, key=lambda name: stages[name], default=None)
    if name is None or stages[name] <= memory.budget:
        return None
    return f"{WHAT[name]} would need {stages[name] / GB:.3g} GB, the budget is {memory.told}: {FIX[name]}"
