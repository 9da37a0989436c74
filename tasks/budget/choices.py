"""Weighs settings that make a training fit a budget against their cost in time: one step, taken in smaller bites.

Every setting here leaves the result alone but for rounding: a step takes as many tokens, of as many rows. The costs
are rules of thumb, and their order is what matters: recomputing is paid in forward passes, of which a LoRA step has
one in three; smaller products leave a device idle; a packed base is unpacked for each use.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from tasks.artifact import Record
from tasks.batch import Bucketed, Packed, Padded
from tasks.errors import ConfigError
from tasks.step.recipe import Recipe

RECOMPUTE = {"none": 0.0, "attention": 0.12, "mlp": 0.2, 4: 0.08, 2: 0.17, "all": 0.33}
"""Granularities, and the share of a step's time that each adds (tests/bench/ablation.py, variants `recompute`)."""

HALVED, CHUNKED, PACKED = 0.05, 0.02, 0.15
"""Share of a step's time that half the micro-batch, a smaller head chunk and a packed base each add
(tests/bench/ablation.py, variants `size`, `chunk` and `dequantized`)."""

HEAD_CHUNKS = (1024, 256)

MOST_HALVINGS = 6
"""Times that the micro-batch is halved at most, 64 rows to 1. Each is one more prediction for a training that does not
fit, some seconds of a large model (tests/bench/memory_model.py)."""

Changes = dict[str, str | int]
"""Overrides, by key."""


class Option(Record):
    """Settings that were weighed.

    Attributes:
        changes: what differs from what was asked, as overrides.
        peak_bytes: what training would need under them.
        cost: time a step, as a share of what was asked takes.
        fits: whether that is within the budget.
    """

    changes: Changes
    peak_bytes: int
    cost: float
    fits: bool

    @property
    def overrides(self) -> str:
        """As typed.

        Example:
            >>> Option(changes={"memory.checkpoint": "all"}, peak_bytes=1, cost=1.33, fits=True).overrides
            'memory.checkpoint=all'
        """
        return " ".join(f"{key}={value}" for key, value in self.changes.items()) or "as asked"


def fastest(recipe: Recipe, longest: int, quantized: bool, need: Callable[[Recipe], int], budget: int) -> list[Option]:
    """Weighs settings from the fastest on until one fits; that one is last, and none fits if it does not.

    Args:
        recipe: what was asked.
        longest: positions of the longest example, below which no row is cut.
        quantized: whether the base is, so that there is a choice of how to store it.
        need: the bytes that a training of a recipe needs.
        budget: bytes.
    """
    weighed: list[Option] = []
    least: dict[int, bool] = {}  # by halvings: whether anything of this micro-batch fits at all
    for cost, halvings, changes in _candidates(recipe, longest, quantized):
        if halvings not in least:
            leanest = max((c for c in _candidates(recipe, longest, quantized) if c[1] == halvings), key=lambda c: c[0])
            least[halvings] = need(changed(recipe, leanest[2])) <= budget
        if not least[halvings]:
            continue
        try:
            peak = need(changed(recipe, changes))
        except ConfigError:  # the family's blocks have no such part to recompute
            continue
        weighed.append(Option(changes=changes, peak_bytes=peak, cost=round(1 + cost, 3), fits=peak <= budget))
        if peak <= budget:
            break
    return weighed


def singles(recipe: Recipe, longest: int, quantized: bool) -> Iterator[Changes]:
    """The changes that each save memory by themselves and leave the result alone."""
    asked = recipe.memory
    if asked.checkpoint != "all":
        yield {"memory.checkpoint": "all"}
    yield from _halved(recipe, longest, 1)
    if asked.head_chunk is None or asked.head_chunk > HEAD_CHUNKS[-1]:
        yield {"memory.head_chunk": HEAD_CHUNKS[-1]}
    if quantized and asked.base != "quantized":
        yield {"memory.base": "quantized"}


def changed(recipe: Recipe, changes: Changes) -> Recipe:
    """A recipe with overrides of memory, batch and train taken in."""
    parts: dict[str, Any] = {"memory": recipe.memory, "batch": recipe.layout, "train": recipe.train}
    for key, value in changes.items():
        group, _, name = key.partition(".")
        parts[group] = parts[group].model_copy(update={name: value})
    return recipe.model_copy(update={"memory": parts["memory"], "layout": parts["batch"], "train": parts["train"]})


def _candidates(recipe: Recipe, longest: int, quantized: bool) -> list[tuple[float, int, Changes]]:
    """(added cost, halvings, changes), the cheapest first; of equal ones the order here."""
    bases = ("dequantized", "quantized") if quantized else (recipe.memory.base,)
    chunks = HEAD_CHUNKS if recipe.memory.head_chunk is None else (recipe.memory.head_chunk, HEAD_CHUNKS[-1])
    found = []
    for halvings, checkpoint, chunk, base in product(range(MOST_HALVINGS + 1), RECOMPUTE, dict.fromkeys(chunks), bases):
        smaller = next(_halved(recipe, longest, halvings), None)
        if smaller is None:
            continue
        cost = RECOMPUTE[checkpoint] + HALVED * halvings + CHUNKED * (chunk < max(chunks))
        cost += PACKED * (base == "quantized" and quantized)
        settings = {"memory.checkpoint": checkpoint, "memory.head_chunk": chunk, "memory.base": base}
        asked = {f"memory.{name}": value for name, value in recipe.memory.model_dump().items()}
        differs: Changes = {key: value for key, value in settings.items() if asked[key] != value}  # type: ignore[misc]
        found.append((cost, halvings, {**differs, **smaller}))
    return sorted(found, key=lambda candidate: candidate[0])


def _halved(recipe: Recipe, longest: int, times: int) -> Iterator[Changes]:
    """The overrides that halve the micro-batch so often and make up for it by accumulation, if it can be halved."""
    layout, share = recipe.layout, 2**times
    if times == 0:
        yield {}
        return
    more: Changes = {"train.accumulate": recipe.train.accumulate * share}
    match layout:
        case Packed() if layout.size % share == 0:
            yield {"batch.size": layout.size // share, **more}
        case Packed() if (tokens := layout.size * layout.tokens // share) % 16 == 0 and tokens >= max(16, longest):
            yield {"batch.tokens": tokens, "batch.size": 1, **more}
        case Bucketed() if layout.tokens // share >= max(16, longest):
            yield {"batch.tokens": layout.tokens // share, **more}
        case Padded() if layout.size % share == 0:
            yield {"batch.size": layout.size // share, **more}
