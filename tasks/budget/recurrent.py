"""Bounds the memory of models that step through positions one by one, such as mlx-lm's mamba: too long to trace.

Two short rows are traced; what the longer one adds, each further position adds as well.
"""

from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import make_prompt_cache

from tasks.graph.graph import Graph
from tasks.graph.trace import trace_model
from tasks.model.causal_lm import Caches
from tasks.model.family import blocks

SHORT = (7, 13)
"""Lengths that are traced: no other size of a model is likely to equal them."""

TRACED = 20_000
"""Operations of a step that are traced, in a few seconds."""

BACKWARD = 4
"""Operations of a training step for each one of its forward pass."""

SLICES = 4
"""Assume a quarter of the slice gradients are alive at once; measured on ten trainings: at most 1 in 5.7."""

VIEWS = frozenset(("Broadcast", "ExpandDims", "Flatten", "Reshape", "Slice", "Split", "Squeeze", "Transpose"))


class Loop(NamedTuple):
    """What a forward pass of one row adds for each of its positions.

    Attributes:
        operations: of all blocks.
        nbytes: that they make, each counted as if it stayed.
        sliced: bytes a position of the widest array that is cut up by position.
        blocks: of the model.
    """

    operations: int
    nbytes: int
    sliced: int
    blocks: int

    def is_long(self, length: int) -> bool:
        """Whether a step with rows of this length has more operations than are traced."""
        return self.operations * length * BACKWARD > TRACED

    def kept(self, rows: int, length: int, *, blockwise: bool) -> int:
        """The most bytes that a step may need beside the weights.

        What a forward pass makes, of one block and its gradients where blocks are computed again; and the gradients of
        the slices, each of which MLX makes as long as the whole.
        """
        made = self.nbytes * rows * length
        return (2 * made // self.blocks if blockwise else made) + self.sliced * rows * length**2 // SLICES


def loop_of(model: nn.Module) -> Loop | None:
    """The loop over positions that a model's layers run, if they do; no weight is read.

    Example:
        >>> model = nn.Module()
        >>> model.layers = [nn.Module()]
        >>> loop_of(model) is None
        True
    """
    caches: Caches = make_prompt_cache(model)
    if all(hasattr(cache, "update_and_fetch") for cache in caches):
        return None
    short, long = (_forward(model, length) for length in SHORT)
    more = SHORT[1] - SHORT[0]
    operations = (len(long.ops) - len(short.ops)) // more
    if operations < 1:
        return None
    nbytes = (_made(long) - _made(short)) // more
    sliced = max((long.arrays[op.inputs[0]].nbytes for op in long.ops if op.name == "Slice"), default=0) // SHORT[1]
    return Loop(operations, nbytes, sliced, len(blocks(model)[1]))


def _forward(model: nn.Module, length: int) -> Graph:
    return trace_model(model, lambda: [model(mx.zeros((1, length), mx.int32))])


def _made(graph: Graph) -> int:
    return sum(graph.arrays[at].nbytes for op in graph.ops if op.name not in VIEWS for at in op.outputs)
