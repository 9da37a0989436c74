"""plan: a token cache, a model and the settings -> what will be trained on, for how long, and in how much memory."""

import logging
from pathlib import Path
from typing import Any

from mlx.utils import tree_flatten
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapter import adapter_parameters
from tasks.artifact import Record, write_json
from tasks.attention import choose_way, honours_segments, keeps_states
from tasks.batch import AnyLayout, Bucketed, Packed, epoch_batches, padding_share
from tasks.budget import Anatomy, Demand, Option, Parts, Stages, changed, excess, fastest, identity, refusal, stages_of
from tasks.data import SplitStats, TokenCache
from tasks.data.store.row_limits import check_rows
from tasks.device.backend import backend
from tasks.errors import ConfigError
from tasks.lora.attach import adapted_layers, attach
from tasks.memory import GB, Memory
from tasks.model import Model
from tasks.model.base import Base, load_base, load_tokenizer
from tasks.model.context_limits import limits_of
from tasks.model.family import model_type
from tasks.model.finite import require_finite
from tasks.score.ends import find_ends, said_of
from tasks.score.held_out import HeldOut
from tasks.settings import Evaluate, Train, Verify
from tasks.step import Recipe
from tasks.step.update import is_compiled

log = logging.getLogger(__name__)


class Plan(Record):
    """The plan of a run, made before it is run; plan.json, whose keys these are and stay.

    Attributes:
        splits: the token cache's figures for each split (train, and valid and test where there are such rows): the
            rows read, dropped and why, tokens by role, lengths, duplicates, overlap, special tokens in the rows' own
            texts, and what the template did; see `SplitStats`.
        layout: how examples become batches: as asked, or `bucketed` where the model cannot keep the
            examples of a packed row apart.
        batches_per_epoch: batches of the first epoch under the layout.
        padding_share: share of its positions that are padding, 0 to 1.
        steps: optimizer steps of the whole run.
        epochs: passes over the training examples that they come to.
        model_type: the family.
        base_bytes: bytes of the base's parameters.
        adapter_modules: projections adapted.
        adapter_parameters: numbers trained.
        training_bytes: adapter masters, gradients and optimizer moments, float32.
        peak_memory_bytes: the most that training will take: predicted from the graph of its heaviest step, or measured
            on a real step where one was asked for.
        peak: the predicted peak, in parts.
        budget_bytes: the most that it may take.
        stages: the most that the other stages will take, each by its name: `validation` between the steps, the held-out
            `loss` and `answers`, and the `verification` with the end of training; one that cannot be predicted is left
            out.
        probed_bytes: the peak of a real step on the heaviest batch; None where none was asked for.
        memory: how memory is spent: as asked, or as chosen under memory.auto.
        accumulate: batches a step: as asked, or as chosen.
        options: the settings that memory.auto weighed, the fastest first; the last is the one taken.
        stop_at: ends of the answers that the model's own files do not name, the most frequent first: a server must be
            given them to stop at. The adapter's manifest has them too.
        notes: further remarks that a person should read before the training.
    """

    splits: dict[str, SplitStats]
    layout: AnyLayout
    batches_per_epoch: int
    padding_share: float
    steps: int
    epochs: float
    model_type: str
    base_bytes: int
    adapter_modules: int
    adapter_parameters: int
    training_bytes: int
    peak_memory_bytes: int
    peak: Parts
    budget_bytes: int
    stages: Stages
    probed_bytes: int | None
    memory: Memory
    accumulate: int
    options: tuple[Option, ...]
    stop_at: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def need_bytes(self) -> int:
        """The most that the run takes: its largest stage."""
        return max(self.peak_memory_bytes, *self.stages.values(), 0)

    def recipe(self, asked: Recipe) -> Recipe:
        """The recipe as asked, with the plan's decisions: the layout, the memory, the accumulation and the steps."""
        train = asked.train.model_copy(update={"accumulate": self.accumulate})
        settled = {"layout": self.layout, "memory": self.memory, "train": train, "steps": self.steps}
        return asked.model_copy(update=settled)


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE)
def plan(
    cache: TokenCache, model: Model, recipe: Recipe, evaluate: Evaluate, verify: Verify, out: Path, probe: bool = False
) -> Plan:
    """Counts steps and bytes, and refuses contradictions; the weights are read only to test whether packing works.

    Args:
        cache: the tokenized splits.
        model: the base.
        recipe: how to train, as asked.
        evaluate: how the adapter is scored after the training.
        verify: how it is checked then.
        out: the file to write, plan.json.
        probe: whether to take a real step, which reads the weights, and to go by its peak instead of the predicted one.

    Raises:
        ConfigError: the warm-up is longer than the run, or a stage needs more memory than the budget.
        DataError: a token id or a length that the model cannot take, or no row is held out.
        TargetError: a target that no projection answers to.
    """
    held_out = HeldOut(cache, evaluate)  # that there are none is said before the training, not after it
    rows = cache.split("train")
    base = load_base(model)
    limits = limits_of(base.model, base.config)
    check_rows(cache, limits.vocabulary, limits.positions)
    held_out.check_positions(evaluate.max_new_tokens, limits.table)
    parameters: Any = tree_flatten(base.model.parameters())
    base_bytes = sum(array.nbytes for _, array in parameters)
    rule, memory = recipe.rule, recipe.memory
    attach(base.model, rule)
    trained = sum(array.size for array in adapter_parameters(base.model).values())
    demand = Demand(Anatomy(base.model), rows, identity(cache, model, rule))
    if isinstance(recipe.layout, Packed) and keeps_states(base.model):  # of which no packed row can even be predicted
        recipe = recipe.model_copy(update={"layout": _one_a_row(recipe.layout, base)})
    chosen, options = _within_budget(demand, recipe, _chosen_before(out), probe=probe)
    stages = _require_within(stages_of(demand, chosen, cache, held_out, evaluate, verify), memory)
    layout = _agreed(chosen.layout, base, recipe.train, max(split.largest_id for split in cache.splits.values()) + 1)
    if layout != chosen.layout:
        chosen, options = _within_budget(demand, recipe.model_copy(update={"layout": layout}), None, probe=probe)
        stages = _require_within(stages_of(demand, chosen, cache, held_out, evaluate, verify), memory)
    layout, train = chosen.layout, chosen.train
    batches = len(epoch_batches(rows, layout, seed=recipe.seed, epoch=0))
    steps = train.total_steps(lambda epoch: len(epoch_batches(rows, layout, seed=recipe.seed, epoch=epoch)))
    if train.accumulate > batches:
        log.info("train.accumulate=%d: an epoch has %d batches, so each step takes those", train.accumulate, batches)
    recipe.optim.rate(0, steps)  # whose warm-up must end before the run does
    parts, probed = demand.parts(chosen), demand.measured(chosen) if probe else None
    if probed is not None and probed > memory.budget:
        raise ConfigError(
            f"a real training step took {probed / GB:.4g} GB, the budget is {memory.budget_text}; "
            "memory=auto, memory.checkpoint=all or fewer batch.tokens need less"
        )
    trained_ends = cache.splits["train"].ends
    ends = find_ends(load_tokenizer(model), trained_ends)
    notes = [note for note in (said_of(ends, trained_ends),) if note]
    for note in notes:
        log.warning(note)
    result = Plan(
        splits=cache.splits,
        layout=layout,
        batches_per_epoch=batches,
        padding_share=round(padding_share(rows, layout, seed=recipe.seed), 4),
        steps=steps,
        epochs=round(steps / -(-batches // train.accumulate), 3),
        model_type=model_type(base.model),
        base_bytes=base_bytes,
        adapter_modules=len(adapted_layers(base.model)),
        adapter_parameters=trained,
        training_bytes=4 * 4 * trained,
        peak_memory_bytes=parts.total if probed is None else probed,
        peak=parts,
        budget_bytes=memory.budget,
        stages=stages,
        probed_bytes=probed,
        memory=chosen.memory,
        accumulate=train.accumulate,
        options=tuple(options),
        stop_at=ends.unnamed(trained_ends),
        notes=tuple(notes),
    )
    write_json(out, result.model_dump(mode="json"))
    log.info("%d steps over %.2f epochs, %.1f %% padding", steps, result.epochs, 100 * result.padding_share)
    return result


def _within_budget(demand: Demand, asked: Recipe, before: Plan | None, *, probe: bool) -> tuple[Recipe, list[Option]]:
    """The recipe that training takes, and the options weighed for it; with `probe`, a real step decides later.

    Raises:
        ConfigError: nothing that may be chosen fits.
    """
    budget = asked.memory.budget
    if not asked.memory.auto:
        if demand.bytes(asked) > budget and not probe:
            raise ConfigError(refusal(demand, asked))
        return asked, []
    if before is not None and before.memory.budget == budget:  # a run that goes on trains as it did
        return before.recipe(asked), list(before.options)
    weighed = fastest(asked, demand.longest, demand.quantized, demand.bytes, budget)
    if not weighed or not weighed[-1].fits:
        raise ConfigError(refusal(demand, asked))
    return changed(asked, weighed[-1].changes), weighed


def _require_within(stages: Stages, memory: Memory) -> Stages:
    """Returns the stages, or refuses the one that exceeds the budget.

    Raises:
        ConfigError: naming it.
    """
    if message := excess(stages, memory):
        raise ConfigError(message)
    return stages


def _chosen_before(out: Path) -> Plan | None:
    """The earlier plan of a run that resumes, whose choices its checkpoints were made under; or None."""
    if not any((out.parent / "checkpoints").glob("step-*")) or not out.exists():
        return None
    try:
        return Plan.model_validate_json(out.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _agreed(layout: AnyLayout, base: Base, train: Train, vocabulary: int) -> AnyLayout:
    """The layout, or buckets of as many tokens for a model that lets the examples of a packed row see each other."""
    if not isinstance(layout, Packed):
        return layout
    way = choose_way(layout.tokens, backend(), rows=layout.size, boundaries=not is_compiled(train))
    if honours_segments(base.model, vocabulary, way=way, row_length=layout.tokens):
        return layout
    require_finite(base)  # NaN fails every comparison: better to say that than to blame packing
    return _one_a_row(layout, base)


def _one_a_row(layout: Packed, base: Base) -> Bucketed:
    log.warning("the %s model cannot keep packed examples apart; going on with batch=bucketed", model_type(base.model))
    return Bucketed(tokens=layout.tokens * layout.size)
