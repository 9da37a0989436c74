"""A computation as a graph: every array that it makes, with its size, and the operations between them."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Array(NamedTuple):
    """An array of the graph: its shape and its bytes an element."""

    shape: tuple[int, ...]
    itemsize: int

    @property
    def nbytes(self) -> int:
        """What its buffer takes."""
        size = self.itemsize
        for n in self.shape:
            size *= n
        return size


class Op(NamedTuple):
    """One primitive: its name, its arguments, and the numbers of the arrays that it reads and makes."""

    name: str
    arguments: tuple[Any, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Graph(NamedTuple):
    """A computation.

    Attributes:
        arrays: by number.
        ops: in an order that can be run; those that no output needs are left out.
        inputs: the arrays that are there before, in the order of the arguments.
        outputs: what is asked for.
    """

    arrays: list[Array]
    ops: list[Op]
    inputs: list[int]
    outputs: list[int]


def needed(ops: Sequence[Op], outputs: Sequence[int]) -> list[Op]:
    """The operations that the outputs need, each after those that it reads from."""
    makers = {at: op for op in ops for at in op.outputs}
    done, ordered = set[int](), list[Op]()
    stack = [(at, False) for at in reversed(outputs)]
    while stack:
        at, ready = stack.pop()
        op = makers.get(at)
        if op is None or op.outputs[0] in done:
            continue
        if ready:
            done.add(op.outputs[0])
            ordered.append(op)
            continue
        stack.append((at, True))
        stack += [(read, False) for read in reversed(op.inputs)]
    return ordered
