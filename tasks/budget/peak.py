"""Peak bytes of a computation over a model, weights included, predicted from its graph; nothing is computed."""

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from tasks.budget.parts import UNTOLD
from tasks.device.backend import backend
from tasks.graph.graph import Graph, Op
from tasks.graph.queue import queue_of
from tasks.graph.replay import replay
from tasks.graph.trace import trace_model
from tasks.patch import evaluating
from tasks.step.update import named


def peak_bytes(model: nn.Module, compute: Callable[[Any], Sequence[mx.array]], arrays: Any = ()) -> int:
    """Predicts the most bytes that `compute(arrays)` needs, the model's parameters and the arrays among them.

    Args:
        model: which `compute` calls, its arrays lazy; it is in evaluation mode meanwhile.
        compute: gives the arrays that are asked for.
        arrays: a tree of what else it reads that is not small.

    Raises:
        ValueError: an operation of the model that MLX does not export.

    Example:
        >>> layer = nn.Linear(64, 64, bias=False)
        >>> peak_bytes(layer, lambda x: [layer(x)], mx.zeros((64, 64))) == 3 * 64 * 64 * 4
        True
    """
    with evaluating(model):
        graph = _cast_anew(trace_model(model, compute, arrays))
    computed = replay(graph, queue_of(backend())).nbytes
    known = {id(array): array.nbytes for array in named([model.parameters(), arrays]).values()}
    return sum(known.values()) + int(computed * (1 + UNTOLD.get(backend(), 0)))


def _cast_anew(graph: Graph) -> Graph:
    """The graph in which each reader of a weight in another dtype casts it by itself; the export merges those casts.

    Merged, a cast matrix would seem alive from its first reader to its last. In truth each layer casts its own, and our
    backward passes go through the layer again, so that no cast matrix is kept for them.
    """
    arrays, ops, chains = list(graph.arrays), list[Op](), {at: list[Op]() for at in graph.inputs}
    for op in graph.ops:
        if op.name in ("AsType", "Transpose") and op.inputs[0] in chains:
            chains[op.outputs[0]] = [*chains[op.inputs[0]], op]
            continue
        read = list(op.inputs)
        for i, at in enumerate(read):
            for n, anew in enumerate(chains.get(at, ())):
                arrays.append(arrays[anew.outputs[0]])
                source = anew.inputs[0] if n == 0 else read[i]
                read[i] = len(arrays) - 1
                ops.append(anew._replace(inputs=(source,), outputs=(read[i],)))
        ops.append(op._replace(inputs=tuple(read)))
    asked = [op for at in graph.outputs for op in chains.get(at, ())]
    return graph._replace(arrays=arrays, ops=[*ops, *dict.fromkeys(asked)])
