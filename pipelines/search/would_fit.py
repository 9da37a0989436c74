"""Predicts whether a run would fit its memory budget, before it is run."""

from cachetools import LRUCache
from pydantic import Field

from pipelines.config import Run
from pipelines.run.run_dir import TOKENS
from tasks.artifact import Record, fingerprint
from tasks.budget.choices import RECOMPUTE, changed, fastest
from tasks.budget.demand import Demand, identity
from tasks.budget.later_stages import Stages
from tasks.budget.longest_row import longest_row
from tasks.budget.parts import COPIES
from tasks.budget.verifying import stages_of
from tasks.data import TokenCache
from tasks.errors import ConfigError
from tasks.lora import AnyRule
from tasks.lora.attach import attach
from tasks.model import Model
from tasks.model.base import load_base
from tasks.score.held_out import HeldOut
from tasks.step import Recipe
from tasks.tokenize import tokens_of

_KNOWN = LRUCache[str, Demand](maxsize=32)
_STAGES = LRUCache[str, tuple[int, Stages]](maxsize=1024)
"""Answers to earlier questions: a sweep asks the same ones again and again."""


class Fits(Record):
    """Whether a run fits its budget.

    Attributes:
        fits: within the budget, or something that memory=auto may choose is.
        peak_bytes: what the largest stage would hold, under what is chosen where something is; at least, where the
            weights alone are more than the budget.
        budget_bytes: the most that it may.
    """

    fits: bool
    peak_bytes: int = Field(ge=0)
    budget_bytes: int = Field(gt=0)


def would_fit(run: Run) -> Fits:
    """Whether every stage of a run keeps to its budget; no weight is read, and known rows are not tokenized again.

    Milliseconds, once the rows are tokenized, for a run that differs from one asked before in what does not shape
    memory (rates, steps, alpha, how much dropout), and for one whose weights alone are too much; a second or
    two for another rank, layout or way of spending memory, the first time.
    """
    cache = tokens_of(run.data, run.model, TOKENS)
    demand, recipe = _demand(cache, run.model, run.lora), run.recipe()
    budget = run.memory.budget
    if demand.least > budget:
        return Fits(fits=False, peak_bytes=demand.least, budget_bytes=budget)
    taken = recipe
    if run.memory.auto:
        weighed = fastest(recipe, demand.longest, demand.quantized, demand.bytes, budget)
        if weighed and weighed[-1].fits:
            taken = changed(recipe, weighed[-1].changes)
    if (peak := demand.bytes(taken)) <= budget:
        peak = max(peak, *_stages(demand, taken, cache, run).values(), 0)
    return Fits(fits=peak <= budget, peak_bytes=peak, budget_bytes=budget)


def _stages(demand: Demand, recipe: Recipe, cache: TokenCache, run: Run) -> Stages:
    """What the other stages hold; of another rank, told by the first one's and the adapter's own bytes."""
    shaping = {name: value for name, value in run.lora.shaping.items() if name != "rank"}
    how = recipe.model_dump_json(include={"layout", "loss", "memory", "train"})
    of = fingerprint([cache.fingerprint, run.model, shaping, how, run.evaluate, run.verify])
    if of not in _STAGES:
        told = stages_of(demand, recipe, cache, HeldOut(cache, run.evaluate), run.evaluate, run.verify)
        _STAGES[of] = demand.trained, told
    trained, told = _STAGES[of]
    more = (1 + COPIES) * max(0, demand.trained - trained)
    return {name: held + more for name, held in told.items()}


def longest_rows(run: Run) -> dict[str, int]:
    """For each granularity of checkpointing, the longest row in tokens that a run's budget trains."""
    base = load_base(run.model)
    text = base.config.get("text_config", base.config)
    recipe, found = run.recipe(), {}
    attach(base.model, run.lora)
    for checkpoint in RECOMPUTE:
        memory = run.memory.model_copy(update={"checkpoint": checkpoint})
        try:
            most = int(text.get("max_position_embeddings") or 1 << 20)
            found[str(checkpoint)] = longest_row(base.model, recipe.model_copy(update={"memory": memory}), most)
        except ConfigError:  # the family has no part of this name
            continue
    return found


def _demand(cache: TokenCache, model: Model, rule: AnyRule) -> Demand:
    """The demand of a model with such an adapter on such rows, kept for the next question."""
    of = identity(cache, model, rule)
    if of not in _KNOWN:
        base = load_base(model).model
        attach(base, rule)
        _KNOWN[of] = Demand(base, cache.split("train"), of)
    return _KNOWN[of]
