"""Traces once what a graph computes many times, such as the attention of each of its layers.

While a graph is traced, a call whose function depends on nothing but its arguments leaves a mark (`Repeated.call`).
Each such function is traced by itself afterwards, once for all calls of the same shapes, and its operations are put in
the places of its marks (`expanded`). The result is the graph that tracing every call gives, operation by operation.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map

from tasks.graph.graph import Array, Op

CALL = "Repeated"
"""The name of an operation that stands for a whole function; its one argument is the number of the function."""

Scalars = dict[int, tuple[Any, mx.Dtype]]
"""Value and dtype of the constants of a graph that are single numbers, by array."""


class Nested(Exception):
    """A function that calls a custom function itself; each of its calls is traced."""


class Function(NamedTuple):
    """A function of arrays: what it computes, and examples of its inputs and outputs, by shape and dtype."""

    compute: Callable[..., Sequence[mx.array]]
    inputs: list[mx.array]
    outputs: list[mx.array]


class Body(NamedTuple):
    """The graph of a function, before anything in it is put in MLX's order."""

    arrays: list[Array]
    ops: list[Op]
    inputs: list[int]
    outputs: list[int]
    scalars: Scalars


class Repeated:
    """The functions that a graph calls, each once, and the marks of their calls.

    Attributes:
        functions: in the order of their first calls.
        calls: the number of the function, by the mark of the call.
        examining: while a function is called to see what it gives; a custom function called then raises Nested.
    """

    def __init__(self) -> None:
        self.functions, self.calls, self.examining = list[Function](), dict[float, int](), False
        self._numbers = dict[Hashable, int | None]()

    def call(self, fn: Callable[..., Any], key: Hashable, trees: tuple[Any, ...], mark: tuple[float, mx.array]) -> Any:
        """Arrays that stand for `fn(*trees)`, of its shapes and dtypes; that itself where it cannot be traced apart.

        Args:
            fn: gives an array or several.
            key: of the function, as `identity` gives it.
            trees: its arguments.
            mark: a number that occurs nowhere else in the graph, and an array of it.
        """
        leaves: Any = [array for _, array in tree_flatten(trees)]
        key = (fn.__code__, key, tuple((array.shape, array.dtype) for array in leaves))
        if key not in self._numbers:
            inputs = [mx.zeros(array.shape, array.dtype) for array in leaves]

            def compute(*flat: mx.array) -> list[mx.array]:
                arrays = iter(flat)
                made = fn(*tree_map(lambda _: next(arrays), trees))
                return [made] if isinstance(made, mx.array) else list(made)

            self.examining = True
            try:
                outputs = compute(*inputs)
                self._numbers[key] = len(self.functions)
                self.functions.append(Function(compute, inputs, outputs))
            except Nested:
                self._numbers[key] = None
            finally:
                self.examining = False
        if (found := self._numbers[key]) is None:
            return fn(*trees)
        number, array = mark
        self.calls[number], outputs = found, self.functions[found].outputs
        stands = mx.depends([mx.zeros(y.shape, y.dtype) for y in outputs], [*leaves, array])
        return stands[0] if len(stands) == 1 else stands


def identity(*functions: Callable[..., Any]) -> Hashable | None:
    """What functions compute apart from their arguments; None where that cannot be known, or is arrays.

    Example:
        >>> scaled = lambda factor: lambda x: factor * x
        >>> identity(scaled(2)) == identity(scaled(2)), identity(scaled(2)) == identity(scaled(3))
        (True, False)
        >>> identity(scaled(mx.ones(2))) is None
        True
    """
    try:
        return tuple(map(_value, functions))
    except TypeError:
        return None


def _value(value: Any) -> Hashable:
    """The same for equal values.

    Raises:
        TypeError: it is no plain value, nor made of some.
    """
    if value is None or isinstance(value, bool | int | float | str | mx.Dtype):
        return (type(value).__name__, value)
    if isinstance(value, list | tuple):
        return (type(value), *map(_value, value))
    if type(value) is dict:
        return tuple((key, _value(one)) for key, one in value.items())
    if hasattr(value, "__code__"):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return (value.__code__, _value(value.__defaults__), _value(cells))
    if type(value).__module__.startswith("tasks.") and hasattr(value, "__dict__"):
        return (type(value), _value(vars(value)))
    raise TypeError(f"a {type(value).__name__} is no plain value")


def expanded(
    arrays: list[Array], ops: list[Op], outputs: list[int], scalars: Scalars, bodies: Sequence[Body]
) -> tuple[list[Op], list[int]]:
    """Operations and outputs with those of its body in the place of each call; `arrays` grows by what they make.

    As in the export of the whole, equal numbers are one constant, and what reads nothing but constants is computed
    once.
    """
    stands, known = dict[int, int](), {value: at for at, value in scalars.items()}
    grown, constant, merged = list[Op](), set(scalars), dict[Any, tuple[int, ...]]()

    def add(op: Op) -> None:
        read = tuple([stands.get(at, at) for at in op.inputs])
        if read and constant.issuperset(read):
            constant.update(op.outputs)
            key = (op.name, str(op.arguments), read, tuple(arrays[at] for at in op.outputs))
            if (same := merged.setdefault(key, op.outputs)) is not op.outputs:
                stands.update(zip(op.outputs, same, strict=True))
                return
        elif not read:
            constant.update(op.outputs)
        grown.append(op if read == op.inputs else Op(op.name, op.arguments, read, op.outputs))

    for op in ops:
        if op.name != CALL:
            add(op)
            continue
        body = bodies[op.arguments[0]]
        places = list(range(len(arrays), len(arrays) + len(body.arrays)))
        arrays += body.arrays
        for at, value in body.scalars.items():
            places[at] = known.setdefault(value, places[at])
            constant.add(places[at])
        for at, given in zip(body.inputs, op.inputs, strict=True):
            places[at] = given
        for inner in body.ops:
            read, made = tuple([places[at] for at in inner.inputs]), tuple([places[at] for at in inner.outputs])
            add(Op(inner.name, inner.arguments, read, made))
        for at, made in zip(body.outputs, op.outputs, strict=True):
            stands[made] = places[at]

    def true(at: int) -> int:
        while at in stands:
            at = stands[at]
        return at

    # An operation may stand before the call that it reads from.
    linked = [
        op._replace(inputs=tuple(map(true, op.inputs))) if not stands.keys().isdisjoint(op.inputs) else op
        for op in grown
    ]
    return linked, [true(at) for at in outputs]
