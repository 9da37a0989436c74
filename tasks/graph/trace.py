"""Exports the graph of a computation without computing it.

MLX is lazy: a step can be built from the shapes of its inputs alone. `mx.export_function` gives the graph, with one
gap: a custom function, which most of our step is made of. So while a graph is traced, each custom function is called
here, forward and backward side by side, and what MLX's autograd does between them is marked by multiplications with
numbers of their own; the marks are taken out again, and the backward put where autograd asked for it.
"""

# How a call y = f(x) of a custom function goes through an export that cannot contain one (`Marks.call` builds it,
# `_spliced` takes it apart; m1, m2, m3 are numbers that occur nowhere else in the graph):
#
#     built while tracing                         what becomes of it
#     y = f(stop_gradient(x))   an extra output   the forward, as the model runs it
#     s = sum(x * m1); y' = broadcast(s) * m2     y' becomes a view of y (one CustomTransforms of x and y); autograd
#                                                 sees a path from y' to x, so it makes the products m2 * dy and m1 * ds
#     g = f.vjp(x, m3)          an extra output   g, with m3 replaced by the dy that was multiplied by m2;
#                                                 m1 * ds, which is autograd's dx, is replaced by g
#
# So MLX's own autograd decides when each backward runs and what is summed with it, and its numbers are never needed.
# A mark is the second factor in the forward and the first one in autograd's products, which tells the two apart. It
# may reach its product through AsType and Broadcast, so marks are followed through those.

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map

from tasks.graph.custom_functions import FIRST, Marks
from tasks.graph.fuse import fused
from tasks.graph.graph import Array, Graph, Op, needed
from tasks.graph.mlx_version import warn_of_other_rules
from tasks.graph.stand_ins import stand_ins


def trace(fn: Callable[..., Sequence[mx.array]], *inputs: mx.array, compiled: bool = False) -> Graph:
    """The graph of `fn(*inputs)`, gradients and custom functions included; nothing is computed.

    Args:
        fn: the computation; arrays that it does not take as an argument count as constants, and must be small.
        inputs: its arguments; only their shapes and dtypes are read, they may be lazy.
        compiled: whether it will be compiled, so that what a custom function's forward and backward both compute is
            computed once and kept, and elementwise operations become kernels.

    Example:
        >>> graph = trace(lambda x: [mx.grad(lambda x: mx.exp(x).sum())(x)], mx.zeros((2, 3)))
        >>> [op.name for op in graph.ops if op.name in ("Exp", "Multiply")], graph.arrays[graph.outputs[0]].shape
        (['Exp', 'Multiply'], (2, 3))
    """
    warn_of_other_rules()
    marks, records = Marks(compiled), list[dict[str, Any]]()

    def traced(*arrays: mx.array) -> list[mx.array]:
        outputs = list(fn(*arrays))
        return outputs + marks.extra

    with stand_ins(marks.call):
        mx.export_function(records.append, traced, *inputs)
    graph = _spliced(records, marks)
    return fused(graph) if compiled else graph


def trace_model(
    model: nn.Module,
    compute: Callable[..., Sequence[mx.array]],
    *trees: Any,
    parameters: Any = None,
    compiled: bool = False,
) -> Graph:
    """The graph of `compute(*trees)` over a model, which keeps its arrays; nothing is computed.

    Args:
        model: which `compute` calls; its arrays may be lazy.
        compute: it may give the model other parameters, and is called once.
        trees: what it reads beside the model's parameters that is not small.
        parameters: the tree of those that it reads as they are; None for all.
        compiled: as for `trace`.

    Example:
        >>> layer = nn.Linear(3, 2, bias=False)
        >>> graph = trace_model(layer, lambda x: [layer(x)], mx.zeros((4, 3)))
        >>> [graph.arrays[at].shape for at in graph.inputs]
        [(2, 3), (4, 3)]
    """
    before: Any = model.parameters()
    given = [before if parameters is None else parameters, *trees]
    leaves: Any = tree_flatten(given)

    def traced(*flat: mx.array) -> list[mx.array]:
        arrays = iter(flat)
        filled: Any = tree_map(lambda _: next(arrays), given)
        model.update(filled[0])
        return list(compute(*filled[1:]))

    try:
        return trace(traced, *(array for _, array in leaves), compiled=compiled)
    finally:
        model.update(before)


def _spliced(records: list[dict[str, Any]], marks: Marks) -> Graph:
    """Builds the graph of the records, without marks: each custom function between its forward and its backward.

    `stands` maps an array to the one that takes its place; `forward` and `backward` map a mark to the array that was
    multiplied by it and to the product; `spread` maps a placeholder of a cotangent to its broadcast.
    """
    numbers, arrays = dict[str, int](), list[Array]()

    def number(exported: tuple[str, tuple[int, ...], mx.Dtype]) -> int:
        name, shape, dtype = exported
        if name not in numbers:
            numbers[name] = len(arrays)
            arrays.append(Array(tuple(shape), dtype.size))
        return numbers[name]

    def new(like: int) -> int:
        arrays.append(arrays[like])
        return len(arrays) - 1

    ends = {record["type"]: record for record in records if record["type"] != "primitive"}
    inputs = [number(array) for array in ends["inputs"]["inputs"]]
    outputs = [number(array) for array in ends["outputs"]["outputs"]]
    marked = dict[int, float]()
    for name, value in ends["constants"]["constants"] if "constants" in ends else []:
        at = number((name, value.shape, value.dtype))
        if value.ndim == 0 and value.dtype == mx.float32 and value.item() > FIRST:
            marked[at] = value.item()
    placeholders = {placeholder for call in marks.calls for _, placeholder in call.cotangents}
    marked_by = {at: mark for at, mark in marked.items() if mark not in placeholders}
    ops, forward, backward, spread = (
        list[Op](),
        dict[float, tuple[int, int]](),
        dict[float, tuple[int, int]](),
        dict[float, int](),
    )
    stands, parted = dict[int, int](), dict[float, tuple[int, ...]]()
    for record in records:
        if record["type"] != "primitive":
            continue
        read, made = tuple(map(number, record["inputs"])), tuple(map(number, record["outputs"]))
        name = record["name"]
        if name in ("AsType", "Broadcast") and read[0] in marked:
            mark = marked[read[0]]
            if mark in placeholders:
                spread[mark] = made[0]
            else:
                marked_by[made[0]] = mark
            if name == "AsType" or mark not in placeholders:  # a backward may cast the cotangent that it is given
                marked[made[0]] = mark
        elif name == "Depends" and marked.get(read[-1]) in marks.partings:
            stands.update(zip(made, read, strict=False))
            parted[marked[read[-1]]] = made
        elif name == "Multiply" and read[1] in marked_by:
            forward[marked_by[read[1]]] = read[0], made[0]
        elif name == "Multiply" and read[0] in marked_by:
            backward[marked_by[read[0]]] = read[1], made[0]
        else:
            ops.append(Op(name, tuple(record["arguments"]), read, made))
    extra = outputs[len(outputs) - len(marks.extra) :]
    for call in marks.calls:
        if any(mark in forward for mark, _ in call.forward):
            read = [forward[mark][0] for mark, _ in call.gradients] + [extra[at] for at in call.constants]
            given = [extra[at] for _, at in call.forward]
            still, made = (
                [new(at) for at in given],
                [forward[m][1] if m in forward else new(extra[at]) for m, at in call.forward],
            )
            ops += [Op("StopGradient", (), (at,), (same,)) for at, same in zip(given, still, strict=True)]
            ops.append(Op("CustomTransforms", (), (*read, *still), tuple(made)))
            stands.update(zip(parted.get(call.outputs, ()), made, strict=False))
        for mark, placeholder in call.cotangents:
            if mark in backward and placeholder in spread:
                stands[spread[placeholder]] = backward[mark][0]
        for mark, at in call.gradients:
            if mark in backward:
                stands[backward[mark][1]] = extra[at]

    def true(at: int) -> int:
        while at in stands:
            at = stands[at]
        return at

    asked = [true(at) for at in outputs[: len(outputs) - len(marks.extra)]]
    linked = [op._replace(inputs=tuple(map(true, op.inputs))) for op in ops]
    if not marks.compiled:
        linked = _filled_anew(linked, arrays)
    return Graph(arrays, needed(linked, asked), inputs, asked)


def _filled_anew(ops: list[Op], arrays: list[Array]) -> list[Op]:
    """Gives each reader of an array of zeros its own: the export merges them."""
    fills = {op.outputs[0]: op for op in ops if op.name == "Full"}
    given = list[Op]()
    for op in ops:
        read = list(op.inputs)
        for i, at in enumerate(read):
            if at in fills:
                arrays.append(arrays[at])
                read[i] = len(arrays) - 1
                given.append(fills[at]._replace(outputs=(read[i],)))
        given.append(op._replace(inputs=tuple(read)))
    return given
