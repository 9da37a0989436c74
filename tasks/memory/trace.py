"""The graph of a computation, told without computing it.

MLX is lazy: a step can be built from the shapes of its inputs alone. `mx.export_function` tells the graph, with one
gap: a custom function, which most of our step is made of. So while a graph is traced, each custom function is called
here, forward and backward side by side, and what MLX's autograd does between them is marked by multiplications with
numbers of their own; the marks are taken out again, and the backward put where autograd asked for it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import mlx.core as mx

from tasks.memory.fuse import fused
from tasks.memory.graph import Array, Graph, Op, needed
from tasks.memory.stand_ins import stand_ins


def trace(fn: Callable[..., Sequence[mx.array]], *inputs: mx.array, compiled: bool = False) -> Graph:
    """The graph of `fn(*inputs)`, gradients and custom functions included; nothing is computed.

    Args:
        fn: what it reads must come in as an argument; other arrays count as constants, and must be small.
        inputs: of which only shape and dtype are looked at; they may be lazy.
        compiled: whether it will be compiled, so that what a custom function's forward and backward both compute is
            computed once and kept, and elementwise operations become kernels.

    Example:
        >>> graph = trace(lambda x: [mx.grad(lambda x: mx.exp(x).sum())(x)], mx.zeros((2, 3)))
        >>> [op.name for op in graph.ops if op.name in ("Exp", "Multiply")], graph.arrays[graph.outputs[0]].shape
        (['Exp', 'Multiply'], (2, 3))
    """
    marks, records = _Marks(compiled), list[dict[str, Any]]()

    def traced(*arrays: mx.array) -> list[mx.array]:
        outputs = list(fn(*arrays))
        return outputs + marks.extra

    with stand_ins(partial(_call, marks)):
        mx.export_function(records.append, traced, *inputs)
    graph = _spliced(records, marks)
    return fused(graph) if compiled else graph


class _Call(NamedTuple):
    """A custom function's call: where its marks and its backward's results are among the extra outputs."""

    forward: list[tuple[float, int]]  # (mark of the output, position of what the real forward gives)
    cotangents: list[tuple[float, float]]  # (mark of the output, mark of the placeholder of its cotangent)
    gradients: list[tuple[float, int]]  # (mark of the input, position of its gradient)
    constants: list[int]  # positions of the inputs without a gradient
    outputs: float  # mark of where the backward reads the outputs


class _Marks:
    """The numbers given out, the calls, and the arrays that must be told beside the outputs."""

    def __init__(self, compiled: bool) -> None:
        self.next, self.calls, self.extra, self.compiled = 2.0, list[_Call](), list[mx.array](), compiled
        self.partings = set[float]()

    def number(self) -> tuple[float, mx.array]:
        """A number that nothing else in the graph is."""
        self.next += 1
        return _FIRST + self.next, mx.array(_FIRST + self.next)

    def apart(self, arrays: list[mx.array]) -> tuple[float, list[mx.array]]:
        """The same arrays, that what is computed from them be told from what is computed from those given."""
        number, mark = self.number()
        self.partings.add(number)
        return number, mx.depends(arrays, [mark])

    def tell(self, array: mx.array) -> int:
        """The position of an array among the extra outputs."""
        self.extra.append(array)
        return len(self.extra) - 1


_FIRST = 2.0**22
"""Where the marks begin: whole numbers that float32 holds, and that no model multiplies with."""


def _call(marks: _Marks, fn: Callable[..., Any], vjp: Callable[..., Any], args: tuple[mx.array, ...]) -> Any:
    still = [mx.stop_gradient(x) for x in args]
    given = fn(*still)
    outputs = [given] if isinstance(given, mx.array) else list(given)
    real = [mx.stop_gradient(y) for y in outputs]
    smooth = [x for x in args if mx.issubdtype(x.dtype, mx.floating)]
    sums, gradient_marks = mx.zeros(()), list[float | None]()
    for x in args:
        if not mx.issubdtype(x.dtype, mx.floating):
            gradient_marks.append(None)
            continue
        number, mark = marks.number()
        gradient_marks.append(number)
        sums = sums + (x * mark.astype(x.dtype)).astype(mx.float32).sum()
    forward, cotangents, placeholders, marked = [], [], [], []
    for y in real:
        number, mark = marks.number()
        forward.append((number, marks.tell(y)))
        through = mx.broadcast_to(sums.astype(y.dtype), y.shape) if smooth else y
        marked.append(through * mark.astype(y.dtype))
        cotangent, other = marks.number()
        cotangents.append((number, cotangent))
        placeholders.append(mx.broadcast_to(other.astype(y.dtype), y.shape))
    alone = isinstance(given, mx.array)
    apart = still if marks.compiled else marks.apart(still)[1]  # or the export would merge what is computed twice
    outputs_mark, after = marks.apart(real)
    grads = vjp(
        apart[0] if len(apart) == 1 else apart, placeholders[0] if alone else placeholders, after[0] if alone else after
    )
    grads = [grads] if isinstance(grads, mx.array) else list(grads)
    found = [(m, marks.tell(g)) for m, g in zip(gradient_marks, grads, strict=True) if m is not None]
    constants = [marks.tell(x) for m, x in zip(gradient_marks, still, strict=True) if m is None]
    marks.calls.append(_Call(forward, cotangents, found, constants, outputs_mark))
    return marked[0] if alone else marked


def _spliced(records: list[dict[str, Any]], marks: _Marks) -> Graph:
    """The graph that the records tell, without marks: each custom function between its forward and its backward."""
    numbers, arrays = dict[str, int](), list[Array]()

    def number(told: tuple[str, tuple[int, ...], mx.Dtype]) -> int:
        name, shape, dtype = told
        if name not in numbers:
            numbers[name] = len(arrays)
            arrays.append(Array(tuple(shape), dtype.size))
        return numbers[name]

    def new(like: int) -> int:
        arrays.append(arrays[like])
        return len(arrays) - 1

    told = {record["type"]: record for record in records if record["type"] != "primitive"}
    inputs = [number(one) for one in told["inputs"]["inputs"]]
    outputs = [number(one) for one in told["outputs"]["outputs"]]
    marked = dict[int, float]()
    for name, value in told["constants"]["constants"] if "constants" in told else []:
        at = number((name, value.shape, value.dtype))
        if value.ndim == 0 and value.dtype == mx.float32 and value.item() > _FIRST:
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
    """The operations, where each reader of an array of zeros has its own: it is the export that merges them."""
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
