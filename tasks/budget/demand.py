"""The memory that a training needs under any settings: predicted, measured by a real step, refused when too much.

A prediction takes a second or so. A sweep asks for hundreds, which differ in what costs no byte (rates, steps, alpha),
so each is made once a process: by what shapes memory of the model and rows (`identity`) and of the recipe (SHAPING).
"""

from collections.abc import MutableMapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from cachetools import LRUCache

from tasks.artifact import fingerprint
from tasks.batch import Rows, epoch_batches
from tasks.batch.batch import Batch, positions
from tasks.budget.anatomy import Anatomy
from tasks.budget.choices import Changes, changed, fastest, singles
from tasks.budget.heaviest import heaviest
from tasks.budget.parts import COPIES, Parts
from tasks.budget.scoring import scoring
from tasks.budget.training import WINDOW, footprint
from tasks.data import TokenCache
from tasks.lora import Rule
from tasks.memory import GB, begin_peak, limits
from tasks.model import Model
from tasks.model.dense import QUANTIZED, dense_base
from tasks.model.head import find_head
from tasks.step.forward import Forward, usual_share
from tasks.step.recipe import Recipe
from tasks.step.update import Update, is_compiled, named

LOOKED_AT = 512
"""The fewest batches that are searched for the heaviest: the whole first epoch, and several of a short one."""

PACKED_BITS = 4.5
"""Bits per 4-bit weight, its share of scale and bias included (groups of 64)."""

STEPS = 2
"""Steps of a measurement: the second has the first one's state beside its own."""


SHAPING: Any = {**dict.fromkeys(("layout", "loss", "memory", "seed"), True), "train": {"accumulate", "compile"}}
"""The parts of a recipe that shape the memory of a model whose adapter is attached."""


_PREDICTED = LRUCache[str, Parts](maxsize=1024)
"""What was predicted in this process: the trials of a sweep ask the same again and again."""


class Demand:
    """The memory that trainings of one model on some rows need; each is predicted once.

    Args:
        anatomy: of the base with the adapter attached.
        rows: what is trained on.
        key: of the process-wide cache, as `identity` gives it; None keeps the predictions to this object.

    Attributes:
        anatomy: of the base with the adapter attached.
        trained: bytes of the adapter's masters.
        least: bytes that any training needs: the weights, the adapter and the optimizer's state.
    """

    def __init__(self, anatomy: Anatomy, rows: Rows, key: str | None = None):
        self.anatomy, self._rows, self._key, model = anatomy, rows, key, anatomy.model
        self._predicted: MutableMapping[str, Parts] = {} if key is None else _PREDICTED
        self._heaviest: dict[str, list[Batch]] = {}
        self.longest = max(map(positions, rows.lengths.tolist()), default=1)
        self.quantized = any(isinstance(module, QUANTIZED) for module in model.modules())
        self.trained, whole = (
            sum(array.nbytes for array in named(tree).values())
            for tree in (model.trainable_parameters(), model.parameters())
        )
        self.least = whole + COPIES * self.trained
        self.packable = 0 if self.quantized else _packable(model)

    def parts(self, recipe: Recipe) -> Parts:
        """The predicted peak of a recipe for this model's adapter, in parts."""
        train = recipe.train.model_copy(update={"accumulate": min(recipe.train.accumulate, WINDOW)})
        shaped = f"{self._key} {recipe.model_copy(update={'train': train}).model_dump_json(include=SHAPING)}"
        if shaped not in self._predicted:
            self._predicted[shaped] = footprint(
                self.anatomy, recipe, self._batches(recipe), limit=recipe.memory.budget, usual=self._usual(recipe)
            )
        return self._predicted[shaped]

    def _usual(self, recipe: Recipe) -> float | None:
        """The share of positions that a compiled step makes room for at the head, see `usual_share`."""
        return usual_share(self._rows, recipe.loss) if is_compiled(recipe.train) else None

    def bytes(self, recipe: Recipe) -> int:
        """The predicted peak of a recipe; of another rank, its adapter counted anew."""
        return self.parts(recipe).total

    def measured(self, recipe: Recipe) -> int:
        """The peak of real steps on the heaviest batch, other arrays of the process left out; reads the weights."""
        model, memory = self.anatomy.model, recipe.memory
        chunk = memory.head_chunk
        others = begin_peak(named(model.parameters()).values())
        with limits(memory), dense_base(model, memory.base):
            compiled, head = is_compiled(recipe.train), None if chunk is None else find_head(model)
            usual = self._usual(recipe)
            forward = Forward(model, recipe.loss, head, chunk=chunk or 1, split=not compiled, usual=usual)
            update = Update(forward, recipe.optim, checkpoint=memory.checkpoint, compile=compiled)
            for batch in self._batches(recipe):
                masters: Any = model.trainable_parameters()
                state, window = update.start(masters), [batch] * min(recipe.train.accumulate, WINDOW)
                for _ in range(STEPS):
                    done = update(masters, state, [forward.arrays(one) for one in window], mx.random.key(0), 0.0)
                    mx.eval(done)
                    masters, state = done.masters, done.state
            return mx.get_peak_memory() - others

    def validation(self, recipe: Recipe, rows: Rows) -> int:
        """Bytes that the loss over validation rows needs between the steps, the optimizer's state included.

        It is laid out as training is and keeps nothing for a backward pass, so it is below the step's peak unless its
        rows are longer: 0.41 to 0.56 of it on five small models, 0.82 where they were ten times as long.
        """
        anatomy, parts, memory = self.anatomy, self.parts(recipe), recipe.memory
        split, usual = not is_compiled(recipe.train), self._usual(recipe)
        with dense_base(anatomy.model, memory.base):
            weights = sum({id(array): array.nbytes for array in named(anatomy.model.parameters()).values()}.values())
            forward = anatomy.forward(recipe.loss, chunk=memory.head_chunk, split=split, usual=usual)
            scored = scoring(forward, rows, recipe.layout, batches=recipe.train.eval_batches)
        return parts.base + parts.adapter + scored - weights

    def _batches(self, recipe: Recipe) -> list[Batch]:
        layout = recipe.layout
        key = f"{recipe.layout.model_dump_json()} {recipe.seed}"
        if key not in self._heaviest:
            first = len(epoch_batches(self._rows, layout, seed=recipe.seed, epoch=0))
            self._heaviest[key] = heaviest(self._rows, layout, seed=recipe.seed, batches=max(first, LOOKED_AT))
        return self._heaviest[key]


def identity(cache: TokenCache, model: Model, rule: Rule) -> str:
    """Identifies a base with an adapter and the rows it is trained on, by what shapes memory."""
    return fingerprint([cache.fingerprint, model, rule.shaping])


def refusal(demand: Demand, asked: Recipe) -> str:
    """Words the refusal of a training that does not fit: its need, the budget, what saves how much, what would fit."""
    budget, parts = asked.memory.budget, demand.parts(asked)
    plain = asked.model_copy(update={"memory": asked.memory.model_copy(update={"auto": False})})
    savings = {
        _typed(changes): parts.total - demand.bytes(changed(plain, changes))
        for changes in singles(plain, demand.longest, demand.quantized)
    }
    savings["model.quantize=4"] = demand.packable
    if (rank := asked.rule.shaping.get("rank", 1)) > 1:
        savings[f"lora.rank={rank // 2}"] = parts.adapter // 2
    listed = sorted(((saving, name) for name, saving in savings.items() if saving > 0), reverse=True)
    saved = ", ".join(f"{name} saves {_gb(saving)}" for saving, name in listed) or "nothing saves any"
    weighed = fastest(plain, demand.longest, demand.quantized, demand.bytes, budget)
    if weighed and weighed[-1].fits:
        fix = f"this fits: {weighed[-1].overrides} ({_gb(weighed[-1].peak_bytes)}), which memory=auto would choose"
    else:
        fix = "no choice of these fits: take a smaller model, a quantized one or shorter rows (data.max_tokens)"
    return f"training would need {_gb(parts.total)}, the budget is {asked.memory.budget_text}: {saved}; {fix}"


def _typed(changes: Changes) -> str:
    return " ".join(f"{key}={value}" for key, value in changes.items())


def _gb(nbytes: int) -> str:
    return f"{nbytes / GB:.3g} GB"


def _packable(model: nn.Module) -> int:
    """Bytes that four bits a weight would save: what `quantize` takes, in groups of 64."""
    weights = [m["weight"] for m in model.modules() if hasattr(m, "to_quantized") and m["weight"].shape[-1] % 64 == 0]
    return int(sum(w.nbytes - w.size * PACKED_BITS / 8 for w in weights))
