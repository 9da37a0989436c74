"""Peak bytes of training, predicted from the graph of its step before a weight is read."""

import logging
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

from tasks.attention import alone_cache, segment_attention
from tasks.attention.isolation import ALONE
from tasks.batch import Batch
from tasks.budget.parts import COPIES, Parts, parts_of
from tasks.budget.recurrent import Loop, loop_of
from tasks.device.backend import backend
from tasks.graph.graph import Graph
from tasks.graph.queue import queue_of
from tasks.graph.replay import replay
from tasks.graph.trace import trace_model
from tasks.model.dense import dense_base
from tasks.model.family import blocks, model_type, projections
from tasks.model.head import Head, find_head, vocabulary
from tasks.step.forward import Forward, compute_dtype
from tasks.step.recipe import Recipe
from tasks.step.update import Update, _joined, is_compiled, named

log = logging.getLogger(__name__)

WINDOW = 2
"""Batches of an accumulated step that are looked at: a third takes what the second does."""


def footprint(
    model: nn.Module, recipe: Recipe, heaviest: Sequence[Batch], *, limit: int | None = None, usual: float | None = None
) -> Parts:
    """Predicts the most that a training takes, part by part; nothing is computed and no weight is read.

    Args:
        model: the base with the adapter attached, its arrays lazy.
        recipe: how it is trained.
        heaviest: the batches of the run that ask most, as `tasks.budget.heaviest` finds them.
        limit: bytes above which MLX will hold allocations back; None for no limit.
        usual: of a compiled step, as `Forward` is given it.
    """
    before = {id(array): array.nbytes for array in named(model.parameters()).values()}
    head = None if recipe.memory.head_chunk is None else find_head(model, prove=False)
    with dense_base(model, recipe.memory.base):
        now = {id(array): array.nbytes for array in named(model.parameters()).values()}
        masters = sum(array.nbytes for array in named(model.trainable_parameters()).values())
        base = sum({**before, **now}.values()) - masters  # a dense base lies beside the packed one
        room = None if limit is None else max(0, limit - base - (1 + COPIES) * masters)
        found, loop = [], loop_of(model)
        if loop is not None and any(loop.is_long(batch.inputs_BT.shape[1]) for batch in heaviest):
            log.info("%s steps through positions one by one; its memory is an upper bound", model_type(model))
            return _bounded(recipe, loop, heaviest, base, masters)
        try:
            for batch in _shaped(heaviest):
                graph = step_graph(model, recipe, head, [batch] * min(recipe.train.accumulate, WINDOW), usual)
                found.append((graph, replay(graph, queue_of(backend()), limit=room)))
        except (ValueError, RuntimeError, IndexError) as error:  # an operation that MLX cannot export
            log.warning("cannot predict the memory of the %s step (%s); it is estimated high", model_type(model), error)
            return max((_estimate(model, recipe, one, base, masters) for one in heaviest), key=lambda p: p.total)
    graph, held = max(found, key=lambda pair: pair[1].nbytes)
    return parts_of(
        graph,
        held,
        base=base,
        masters=masters,
        vocabulary=vocabulary(model),
        blocks=len(blocks(model)[1]),
        backend=backend(),
    )


def unproven(model: nn.Module, recipe: Recipe, usual: float | None = None, head: Head | None = None) -> Forward:
    """How losses are computed, as `choose_forward` chooses it, but that no weight is read to prove it."""
    chunk, split = recipe.memory.head_chunk, not is_compiled(recipe.train)
    if head is None and chunk is not None:
        head = find_head(model, prove=False)
    head = head if head is not None and head.frozen else None
    return Forward(model, recipe.loss, head, chunk=chunk or 1, split=split, usual=usual, alone=builds_alone(model))


def builds_alone(model: nn.Module) -> bool:
    """Whether rows of one example go blockwise, as `honours_alone` finds by computing; here no weight is read.

    A model whose attention is not mlx-lm's own raises on our cache while its graph is built. The two agreed on the
    families of mlx-lm 0.32.2 that they were both asked about; nine are in the tests.

    Example:
        >>> builds_alone(nn.Linear(2, 2))
        False
    """
    any_model: Any = model
    dtype, ids = compute_dtype(model), mx.zeros((1, ALONE), mx.int32)
    with segment_attention(model):
        try:
            for way in ("causal", "blockwise"):
                any_model(ids, cache=alone_cache(model, ALONE, dtype, way=way))
        except Exception:  # an exotic model may fail in any way; all mean the same
            return False
    return True


def _shaped(batches: Sequence[Batch]) -> list[Batch]:
    """One batch per distinct graph: by positions, segments and counted targets."""
    return list(
        {
            (b.segments_BT.shape, b.segments_BT.tobytes() if b.packed else b"", int(np.count_nonzero(b.weights_BT))): b
            for b in batches
        }.values()
    )


def _bounded(recipe: Recipe, loop: Loop, heaviest: Sequence[Batch], base: int, masters: int) -> Parts:
    """Bounds the bytes of a step of a loop over positions that is too long to trace."""
    blockwise = recipe.memory.checkpoint == "all"
    kept = max(loop.kept(*batch.inputs_BT.shape, blockwise=blockwise) for batch in heaviest)
    return Parts(base=base, adapter=(1 + COPIES) * masters, logits=0, kept=kept, working=0, queued=10 * masters)


def _estimate(model: nn.Module, recipe: Recipe, batch: Batch, base: int, masters: int) -> Parts:
    """Estimates on the safe side, where a step cannot be exported: what its projections read and make, twice."""
    wide = [sum(sum(layer["weight"].shape[-2:]) for layer in projections(block).values()) for block in blocks(model)[1]]
    itemsize = 4 if backend() == "cpu" else 2
    kept = [2 * batch.inputs_BT.size * width * itemsize for width in wide]
    chunk = min(batch.inputs_BT.size, recipe.memory.head_chunk or batch.inputs_BT.size)
    blockwise = recipe.memory.checkpoint == "all"
    return Parts(
        base=base,
        adapter=(1 + COPIES) * masters,
        logits=6 * 4 * chunk * vocabulary(model),
        kept=sum(kept) // (8 if blockwise else 1),
        working=4 * max(kept, default=0),
        queued=10 * masters,
    )


def step_graph(
    model: nn.Module, recipe: Recipe, head: Head | None, window: Sequence[Batch], usual: float | None = None
) -> Graph:
    """The graph of one training step of a model with adapters, whose arrays may be lazy: none is computed.

    Args:
        model: the base with the adapter attached, its quantized layers as training will have them.
        recipe: how it is trained.
        head: the model's two parts, or None for full logits.
        window: the batches of the step.
        usual: as `Forward` is given it.
    """
    forward = unproven(model, recipe, usual, head)
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
    return trace_model(model, step, *trees, parameters=frozen, compiled=is_compiled(recipe.train))
