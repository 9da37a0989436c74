"""Predicts the peak memory of training from the graph of its step, before a weight is read.

The step is traced over lazy arrays and its evaluation replayed: which operation runs when, which buffers are alive then
(tasks/graph). What cannot be traced is bounded instead: a loop over positions is too long, and some operations have no
form that MLX exports.
"""

import logging
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

from tasks.batch import Batch
from tasks.budget.anatomy import Anatomy
from tasks.budget.parts import COPIES, Parts, parts_of
from tasks.budget.recurrent import Loop
from tasks.device.backend import backend
from tasks.graph.graph import Graph
from tasks.graph.queue import queue_of
from tasks.graph.replay import replay
from tasks.graph.trace import trace_model
from tasks.model.dense import dense_base
from tasks.step.recipe import Recipe
from tasks.step.update import Update, _joined, is_compiled, named

log = logging.getLogger(__name__)

WINDOW = 2
"""Batches of an accumulated step that are traced: a third needs what the second does."""


def footprint(
    anatomy: Anatomy, recipe: Recipe, heaviest: Sequence[Batch], *, limit: int | None = None, usual: float | None = None
) -> Parts:
    """Predicts the most bytes that a training needs, part by part; nothing is computed and no weight is read.

    Args:
        anatomy: of the base with the adapter attached.
        recipe: how it is trained.
        heaviest: the batches of the run that ask most, as `tasks.budget.heaviest` finds them.
        limit: bytes above which MLX will hold allocations back; None for no limit.
        usual: of a compiled step, as `Forward` is given it.
    """
    model = anatomy.model
    before = {id(array): array.nbytes for array in named(model.parameters()).values()}
    with dense_base(model, recipe.memory.base):
        now = {id(array): array.nbytes for array in named(model.parameters()).values()}
        masters = sum(array.nbytes for array in named(model.trainable_parameters()).values())
        base = sum({**before, **now}.values()) - masters  # a dense base lies beside the packed one
        room = None if limit is None else max(0, limit - base - (1 + COPIES) * masters)
        found, loop = [], anatomy.loop
        if loop is not None and any(loop.is_long(batch.inputs_BT.shape[1]) for batch in heaviest):
            log.info("%s steps through positions one by one; its memory is an upper bound", anatomy.family)
            return _bounded(recipe, loop, heaviest, base, masters)
        try:
            for batch in _shaped(heaviest):
                graph = step_graph(anatomy, recipe, [batch] * min(recipe.train.accumulate, WINDOW), usual)
                found.append((graph, replay(graph, queue_of(backend()), limit=room)))
        except (ValueError, RuntimeError, IndexError) as error:  # an operation that MLX does not export
            log.warning(
                "the graph of a step of %s cannot be predicted (%s); its memory is an upper bound",
                anatomy.family,
                error,
            )
            return max((_estimate(anatomy, recipe, one, base, masters) for one in heaviest), key=lambda p: p.total)
    graph, held = max(found, key=lambda pair: pair[1].nbytes)
    return parts_of(
        graph,
        held,
        base=base,
        masters=masters,
        vocabulary=anatomy.vocabulary,
        blocks=len(anatomy.blocks),
        backend=backend(),
    )


def _shaped(batches: Sequence[Batch]) -> list[Batch]:
    """One batch per distinct graph: by positions, segments and counted targets."""
    return list(
        {
            (b.segments_BT.shape, b.segments_BT.tobytes() if b.packed else b"", int(np.count_nonzero(b.weights_BT))): b
            for b in batches
        }.values()
    )


def _bounded(recipe: Recipe, loop: Loop, heaviest: Sequence[Batch], base: int, masters: int) -> Parts:
    """Bounds the step of a loop over positions, which is too long to trace."""
    blockwise = recipe.memory.checkpoint == "all"
    kept = max(loop.kept(*batch.inputs_BT.shape, blockwise=blockwise) for batch in heaviest)
    return Parts(base=base, adapter=(1 + COPIES) * masters, logits=0, kept=kept, working=0, queued=10 * masters)


def _estimate(anatomy: Anatomy, recipe: Recipe, batch: Batch, base: int, masters: int) -> Parts:
    """Bounds a step that cannot be traced: what its projections read and make, twice over."""
    itemsize = 4 if backend() == "cpu" else 2
    kept = [2 * batch.inputs_BT.size * width * itemsize for width in anatomy.widths]
    chunk = min(batch.inputs_BT.size, recipe.memory.head_chunk or batch.inputs_BT.size)
    blockwise = recipe.memory.checkpoint == "all"
    return Parts(
        base=base,
        adapter=(1 + COPIES) * masters,
        logits=6 * 4 * chunk * anatomy.vocabulary,
        kept=sum(kept) // (8 if blockwise else 1),
        working=4 * max(kept, default=0),
        queued=10 * masters,
    )


def step_graph(anatomy: Anatomy, recipe: Recipe, window: Sequence[Batch], usual: float | None = None) -> Graph:
    """The graph of one training step of a model with adapters, whose arrays may be lazy: none is computed.

    Args:
        anatomy: of the base with the adapter attached, its quantized layers as training will have them.
        recipe: how it is trained.
        window: the batches of the step.
        usual: as `Forward` is given it.
    """
    compiled, model = is_compiled(recipe.train), anatomy.model
    forward = anatomy.forward(recipe.loss, chunk=recipe.memory.head_chunk, split=not compiled, usual=usual)
    update = Update(forward, recipe.optim, checkpoint=recipe.memory.checkpoint)
    masters: Any = model.trainable_parameters()
    frozen = tree_unflatten([(name, a) for name, a in named(model.parameters()).items() if name not in named(masters)])
    batches = [forward.arrays(batch) for batch in window]
    arrays = [{name: array for name, array in batch.items() if name != "boundaries"} for batch in batches]

    def step(vector: mx.array, state: Any, arrays: list[dict[str, mx.array]], key: mx.array) -> list[mx.array]:
        update._held = masters, vector  # as after a step
        window = [{**batch, **traced} for batch, traced in zip(batches, arrays, strict=True)]
        updated: Any = tree_flatten(list(update(masters, state, window, key, 1e-3)))
        return [array for _, array in updated]

    trees = _joined(masters), update.start(masters), arrays, mx.random.key(0)
    return trace_model(model, step, *trees, parameters=frozen, compiled=compiled)
