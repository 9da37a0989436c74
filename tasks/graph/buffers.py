"""The layout of a graph's arrays in their buffers: which are views, which are written in place, which are copied.

The rules are those of MLX's CPU backend. They decide how many bytes an operation takes: a broadcast mask that is cast
stays as small as it was, a transposed matrix may have to be copied before it is multiplied.
"""

# Strides are in elements, 0 along a broadcast axis. Three properties decide everything, from the weakest:
#
#     contiguous       no gaps, axes in any order, broadcast axes aside    a unary operation writes as it reads: as few
#                                                                          bytes as the input really has
#     dense            contiguous and nothing broadcast                    two inputs alike: the result lies like both
#     row contiguous   dense and in row-major order                        any operation may take the buffer over

import math
from typing import NamedTuple

from tasks.graph.graph import Graph, Op
from tasks.graph.strides import reshaped, row_strides

UNARY = frozenset(
    (
        *(
            "Abs",
            "ArcCos",
            "ArcSin",
            "ArcTan",
            "AsType",
            "Ceil",
            "Cos",
            "Cosh",
            "Erf",
            "ErfInv",
            "Exp",
            "Expm1",
            "Floor",
        ),
        *("Log", "Log1p", "LogicalNot", "Negative", "Round", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Sqrt"),
        *("Square", "Tan", "Tanh"),
    )
)
BINARY = frozenset(
    (
        *("Add", "ArcTan2", "BitwiseBinary", "Divide", "Equal", "FloorDivide", "Greater", "GreaterEqual", "Less"),
        *("LessEqual", "LogAddExp", "LogicalAnd", "LogicalOr", "Maximum", "Minimum", "Multiply", "NotEqual", "Power"),
        *("Remainder", "Select", "Subtract"),
    )
)
UPDATES = frozenset(("Scatter", "ScatterAxis", "SliceUpdate", "MaskedScatter"))
PRODUCTS = frozenset(("AddMM", "GatherMM", "GatherQMM", "Matmul", "QuantizedMatmul"))

KERNEL = "Compiled"
"""Several of them as one operation."""


class Written(NamedTuple):
    """An output that is no view: the bytes of its buffer, and the inputs whose buffer it may take over, if it can."""

    nbytes: int
    candidates: tuple[int, ...]


class Layout:
    """The strides of the arrays of a graph, found operation by operation, in the order of evaluation.

    Args:
        graph: whose arrays they are.
        sums: whether a product is summed onto what it is added to, in that one's buffer: so on a CPU.
    """

    def __init__(self, graph: Graph, *, sums: bool):
        self._arrays, self._sums = graph.arrays, sums
        self._strides = [row_strides(array.shape) for array in graph.arrays]

    def views(self, op: Op) -> list[int] | None:
        """For each output the input that it is a view of; None for an operation that writes its outputs."""
        first = op.inputs[0] if op.inputs else -1
        arrays, strides, made = self._arrays, self._strides, op.outputs[0]
        match op.name:
            case "Transpose":
                strides[made] = tuple(strides[first][axis] for axis in op.arguments[0])
            case "Broadcast" | "BroadcastAxes":
                shape, lead = arrays[first].shape, len(arrays[made].shape) - len(arrays[first].shape)
                kept = tuple(
                    0 if n != wanted else s
                    for n, s, wanted in zip(shape, strides[first], arrays[made].shape[lead:], strict=True)
                )
                strides[made] = (0,) * lead + kept
            case "Slice":
                strides[made] = tuple(s * step for s, step in zip(strides[first], op.arguments[2], strict=True))
            case "Split":
                for output in op.outputs:
                    strides[output] = strides[first]
                return [first] * len(op.outputs)
            case "ExpandDims" | "Squeeze" | "Reshape" | "Flatten" | "Unflatten":
                if not self.row_contiguous(first):
                    found = reshaped(arrays[first].shape, strides[first], arrays[made].shape)
                    if found is None:
                        return None
                    strides[made] = found
            case "Depends" | "CustomTransforms":
                count = len(op.outputs)
                sources = op.inputs[:count] if op.name == "Depends" else op.inputs[-count:]
                for output, source in zip(op.outputs, sources, strict=True):
                    strides[output] = strides[source]
                return list(sources)
            case "StopGradient" | "Copy" | "View" | "Contiguous":
                strides[made] = strides[first]
            case _:
                return None
        return [first]

    def written(self, op: Op) -> list[Written]:
        """For each output of an operation that is no view, its buffer."""
        whole = [Written(self._arrays[at].nbytes, ()) for at in op.outputs]
        if op.name in UNARY:
            return [self._like(op.outputs[0], op.inputs[:1])] if self.contiguous(op.inputs[0]) else whole
        if op.name in UPDATES:
            return [Written(whole[0].nbytes, op.inputs[:1])]
        if op.name == "AddMM" and self._sums:  # what is added is copied first, and the product summed onto it
            added = op.inputs[2]
            return [Written(whole[0].nbytes, (added,) if self.row_contiguous(added) else ())]
        if op.name == KERNEL:
            return [*whole[:-1], self._kernel(op)]
        if op.name not in BINARY:
            return whole
        if len(op.inputs) == 2:
            left, right = op.inputs
            if self._single(left) and self.contiguous(right):
                return [self._like(op.outputs[0], (right,))]
            if self._single(right) and self.contiguous(left):
                return [self._like(op.outputs[0], (left,))]
            if self._strides[left] == self._strides[right] and self._dense(left) and self._dense(right):
                return [self._like(op.outputs[0], op.inputs)]
        return [Written(whole[0].nbytes, tuple(at for at in op.inputs if self.row_contiguous(at)))]

    def _kernel(self, op: Op) -> Written:
        """What a compiled kernel writes: where all that it reads lies alike, its result does too."""
        made, shape = op.outputs[-1], self._arrays[op.outputs[-1]].shape
        read = tuple(at for at in op.inputs if self._arrays[at].shape)
        alike = all(self._arrays[at].shape == shape for at in read)
        if alike and (all(map(self.row_contiguous, read)) or (len(read) == 1 and self.contiguous(read[0]))):
            return self._like(made, read) if read else Written(self._arrays[made].nbytes, ())
        size = math.prod(shape)
        same = (at for at in read if math.prod(self._arrays[at].shape) == size and self.row_contiguous(at))
        return Written(self._arrays[made].nbytes, tuple(same))

    def take(self, made: int, source: int) -> None:
        """Says that an output lies as this input does."""
        self._strides[made] = self._strides[source]

    def temporary(self, op: Op) -> list[int]:
        """Bytes of each matrix that a product copies before it can read it."""
        read = op.inputs[:2] if op.name in PRODUCTS else ()
        return [self._arrays[at].nbytes for at in read if not self._readable(at)]

    def row_contiguous(self, at: int) -> bool:
        """Whether the elements lie in order, without gaps."""
        wanted = 1
        for n, stride in zip(reversed(self._arrays[at].shape), reversed(self._strides[at]), strict=True):
            if n != 1 and stride != wanted:
                return False
            wanted *= n
        return True

    def contiguous(self, at: int) -> bool:
        """Whether the elements lie without gaps, in whatever order of the axes, broadcast ones aside."""
        wanted = 1
        for stride, n in sorted(self._spans(at)):
            if stride != wanted:
                return False
            wanted *= n
        return True

    def _spans(self, at: int) -> list[tuple[int, int]]:
        return [(s, n) for n, s in zip(self._arrays[at].shape, self._strides[at], strict=True) if n != 1 and s != 0]

    def _dense(self, at: int) -> bool:
        return self.contiguous(at) and len(self._spans(at)) == sum(n != 1 for n in self._arrays[at].shape)

    def _single(self, at: int) -> bool:
        """Whether one element stands for all."""
        return not self._spans(at)

    def elements(self, at: int) -> int:
        """How many elements the buffer of an array without gaps really has."""
        count = 1
        for _, n in self._spans(at):
            count *= n
        return count

    def _like(self, made: int, sources: tuple[int, ...]) -> Written:
        """An output of as many elements as the first source really has, lying as they do."""
        self.take(made, sources[0])
        return Written(self.elements(sources[0]) * self._arrays[made].itemsize, sources)

    def _readable(self, at: int) -> bool:
        """Whether a product can read a matrix as it lies, row by row or column by column."""
        shape, strides = self._arrays[at].shape, self._strides[at]
        if len(shape) < 2:
            return True
        (m, n), (rows, columns) = shape[-2:], strides[-2:]
        return (columns == 1 and (m == 1 or rows == n)) or (rows == 1 and (n == 1 or columns == m))
