"""Predicts whether a run would fit its memory budget, before it is run."""

from cachetools import LRUCache
from pydantic import Field

from pipelines.config import Run
from pipelines.run.run_dir import TOKENS
from tasks.artifact import Record, fingerprint
from tasks.budget import COPIES, RECOMPUTE, Anatomy, Demand, Stages, changed, fastest, identity, longest_row, stages_of
from tasks.errors import ConfigError
from tasks.lora.attach import attach
from tasks.model.base import load_base
from tasks.score.held_out import HeldOut
from tasks.tokenize import tokens_of

_DEMANDS = LRUCache[str, Demand](maxsize=32)
_STAGES = LRUCache[str, tuple[int, Stages]](maxsize=1024)
"""Earlier predictions: a sweep asks for the same ones again and again."""


class Fits(Record):
    """Whether a run fits its budget.

    Attributes:
        fits: within the budget, or something that memory=auto may choose is.
        peak_bytes: what the largest stage would take, under the settings that memory.auto chooses; a lower bound where
            the weights alone are more than the budget.
        budget_bytes: the most that it may take.
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
    cache, recipe, budget = tokens_of(run.data, run.model, TOKENS), run.recipe(), run.memory.budget
    key = identity(cache, run.model, run.lora)
    demand = _DEMANDS.get(key)
    if demand is None:
        base = load_base(run.model).model
        attach(base, run.lora)
        demand = Demand(Anatomy(base), cache.split("train"), key)
        _DEMANDS[key] = demand
    if demand.least > budget:
        return Fits(fits=False, peak_bytes=demand.least, budget_bytes=budget)
    if run.memory.auto:
        weighed = fastest(recipe, demand.longest, demand.quantized, demand.bytes, budget)
        if weighed and weighed[-1].fits:
            recipe = changed(recipe, weighed[-1].changes)
    if (peak := demand.bytes(recipe)) <= budget:
        # Stages of another rank are those of the first one that was asked about, and the adapter's own bytes more.
        shaping = {name: value for name, value in run.lora.shaping.items() if name != "rank"}
        how = recipe.model_dump_json(include={"layout", "loss", "memory", "train"})
        key = fingerprint([cache.fingerprint, run.model, shaping, how, run.evaluate, run.verify])
        if key not in _STAGES:
            held_out = HeldOut(cache, run.evaluate)
            _STAGES[key] = demand.trained, stages_of(demand, recipe, cache, held_out, run.evaluate, run.verify)
        trained, stages = _STAGES[key]
        peak = max(peak, *(n + (1 + COPIES) * max(0, demand.trained - trained) for n in stages.values()), 0)
    return Fits(fits=peak <= budget, peak_bytes=peak, budget_bytes=budget)


def longest_rows(run: Run) -> dict[str, int]:
    """For each granularity of checkpointing, the longest row in tokens that a run's budget trains."""
    base = load_base(run.model)
    text = base.config.get("text_config", base.config)
    recipe, longest = run.recipe(), {}
    attach(base.model, run.lora)
    anatomy = Anatomy(base.model)
    for checkpoint in RECOMPUTE:
        memory = run.memory.model_copy(update={"checkpoint": checkpoint})
        try:
            most = int(text.get("max_position_embeddings") or 1 << 20)
            longest[str(checkpoint)] = longest_row(anatomy, recipe.model_copy(update={"memory": memory}), most)
        except ConfigError:  # the family has no part of this name
            continue
    return longest
