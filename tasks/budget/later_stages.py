"""Predicts what the stages of a run need beside the training step, and words the refusal of one that needs too much."""

import logging
from collections.abc import Callable

from tasks.budget.answering import most_at_once
from tasks.budget.demand import Demand
from tasks.budget.scoring import scoring
from tasks.budget.verifying import verifying
from tasks.data import TokenCache
from tasks.loss import MaskedCrossEntropy
from tasks.memory import GB, Memory
from tasks.score.held_out import HeldOut
from tasks.score.held_out_loss import CHUNK, SCORED
from tasks.settings import Evaluate, Verify
from tasks.step.recipe import Recipe

log = logging.getLogger(__name__)

Stages = dict[str, int]
"""The most bytes that each stage needs, by its name in WHAT; one that cannot be predicted is left out."""

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


def stages_of(
    demand: Demand, recipe: Recipe, cache: TokenCache, held_out: HeldOut, evaluate: Evaluate, verify: Verify
) -> Stages:
    """Predicts each stage of a run beside the training step; none for a model whose loop is too long to trace.

    Args:
        demand: of the training.
        recipe: of the training, as it will be.
        cache: whose validation rows are validated on.
        held_out: what is scored afterwards.
        evaluate: how.
        verify: the checks.
    """
    anatomy, loop = demand.anatomy, demand.anatomy.loop
    longest = max(split.longest for split in cache.splits.values())
    if loop is not None and loop.is_long(max(longest, verify.probe_tokens)):
        log.warning("%s steps through positions one by one: the memory of training alone is predicted", anatomy.family)
        return {}
    valid = cache.split("valid") if "valid" in cache.splits else None
    asked, longest, new = len(held_out.asked), held_out.longest_prompt, evaluate.max_new_tokens

    def held_out_loss() -> int | None:
        forward = anatomy.forward(MaskedCrossEntropy(), chunk=CHUNK)
        return scoring(forward, held_out.rows, SCORED) if len(held_out.rows) else None

    stages = {
        "validation": lambda: None if valid is None else demand.validation(recipe, valid),
        "loss": held_out_loss,
        "answers": lambda: most_at_once(anatomy, asked, longest, new, recipe.memory.budget)[1] if asked else None,
        "verification": lambda: verifying(anatomy, verify.checks, verify.probe_tokens),
    }
    return {name: nbytes for name, ask in stages.items() if (nbytes := estimated(name, ask)) is not None}


def estimated(name: str, ask: Callable[[], int | None]) -> int | None:
    """The bytes that a stage needs; None, with a warning, where they cannot be predicted."""
    try:
        return ask()
    except Exception as error:  # an operation that MLX does not export, or an exotic model: the run may go well
        log.warning("cannot predict the memory of %s (%s); it is not checked", WHAT[name], error)
        return None


def excess(stages: Stages, memory: Memory) -> str | None:
    """Words the refusal of the stage that needs the most; None if that is within the budget.

    Example:
        >>> excess({"loss": 3 * GB, "answers": GB}, Memory(limit_gb=2))[:53]
        'the held-out loss would need 3 GB, the budget is 2 GB'
    """
    name = max(stages, key=lambda name: stages[name], default=None)
    if name is None or stages[name] <= memory.budget:
        return None
    return f"{WHAT[name]} would need {stages[name] / GB:.3g} GB, the budget is {memory.budget_text}: {FIX[name]}"
