"""Fuses a graph as `mx.compile` does: elementwise operations that follow each other become one kernel.

The rules are MLX's (compile_fuse in mlx/compile.cpp): an operation joins the kernel of what reads it if nothing
else does, up to DEPTH operations deep and ARRAYS inputs wide. What joins is never an array of its own.
"""

# The order of everything here is MLX's and cannot be tidied up: kernels are grown from the last operation to the first,
# each by a depth-first walk over its inputs, and the limits cut the walk where it happens to be. Another order gives
# other kernels, so other arrays between them, so another peak. Two exceptions to "nothing else reads it": a broadcast
# is copied into every kernel that reads it (`copied`), since it costs nothing; and an operation whose result is asked
# for joins all the same, as a further output, if its shape is the kernel's.

from tasks.graph.buffers import BINARY, KERNEL, UNARY
from tasks.graph.graph import Graph, Op, needed

DEPTH = 11
"""Operations from the result of a kernel down."""

ARRAYS = 24
"""Inputs of a kernel."""

FUSABLE = (UNARY | BINARY | {"Negative", "Log2", "Log10", "Rsqrt", "Broadcast"}) - {"Softmax", "FloorDivide"}


def fused(graph: Graph) -> Graph:
    """The graph as a compiled function runs it.

    Example:
        >>> import mlx.core as mx
        >>> from tasks.graph.trace import trace
        >>> graph = trace(lambda x: [mx.exp(x) * mx.sin(x) @ x], mx.zeros((4, 4)), compiled=True)
        >>> [op.name for op in graph.ops]
        ['Compiled', 'Matmul']
    """
    return _Fusion(_without_copies(graph)).run()


def _without_copies(graph: Graph) -> Graph:
    stands: dict[int, int] = {}
    ops: list[Op] = []
    for op in graph.ops:
        op = op._replace(inputs=tuple(stands.get(at, at) for at in op.inputs))
        if op.name in ("StopGradient", "Copy"):
            stands[op.outputs[0]] = op.inputs[0]
        else:
            ops.append(op)
    return graph._replace(ops=ops, outputs=[stands.get(at, at) for at in graph.outputs])


class _Fusion:
    def __init__(self, graph: Graph):
        self.graph, self.ops, self.asked = graph, list(graph.ops), set(graph.outputs)
        self.makers = {at: number for number, op in enumerate(graph.ops) for at in op.outputs}
        self.readers: dict[int, set[int]] = {at: set() for at in range(len(graph.arrays))}
        for number, op in enumerate(graph.ops):
            for at in op.inputs:
                self.readers[at].add(number)

    def run(self) -> Graph:
        """From the last operation to the first, each takes in what it can."""
        gone: set[int] = set()
        for number in reversed(range(len(self.ops))):
            op = self.ops[number]
            if number in gone or op.name not in FUSABLE or op.name == "Broadcast":
                continue
            joined, copied = self._joined(number)
            if len(joined) + len(copied) == 1:
                continue
            reads, made = self._edges(op.outputs[0], joined | copied)
            for at in reads:
                self.readers[at] = self.readers[at] - joined | {number}
            self.ops[number] = Op(KERNEL, (), tuple(reads), tuple(made))
            gone |= joined - {number}
        left = [op for number, op in enumerate(self.ops) if number not in gone]
        return self.graph._replace(ops=needed(left, self.graph.outputs))

    def _joined(self, root: int) -> tuple[set[int], set[int]]:
        """The operations of a kernel, and the broadcasts that it makes for itself as others read them too."""
        joined, copied, inputs = set[int](), set[int](), set[int]()
        shape = self.graph.arrays[self.ops[root].outputs[0]].shape

        def visit(at: int, depth: int) -> None:
            number = self.makers.get(at, -1)
            if number in joined or number in copied:
                return
            op = self.ops[number] if number >= 0 else None
            foreign = at in self.asked and self.graph.arrays[at].shape != shape
            if op is None or op.name not in FUSABLE or depth >= DEPTH or foreign:
                inputs.add(at)
                return
            if depth == 0 or self.readers[at] <= joined:
                inputs.discard(at)
                if at in self.asked:
                    inputs.add(at)
                if len(inputs) >= ARRAYS:
                    return
                joined.add(number)
            elif op.name == "Broadcast" and len(inputs) < ARRAYS:
                copied.add(number)
            else:
                inputs.add(at)
                return
            for read in op.inputs:
                visit(read, depth + 1)

        visit(self.ops[root].outputs[0], 0)
        return joined, copied

    def _edges(self, result: int, inside: set[int]) -> tuple[list[int], list[int]]:
        """What a kernel reads, in MLX's order, and what it makes, its result last."""
        reads, made, seen = list[int](), list[int](), set[int]()

        def visit(at: int) -> None:
            if at in seen:
                return
            seen.add(at)
            number = self.makers.get(at, -1)
            if number not in inside:
                reads.append(at)
                return
            for read in self.ops[number].inputs:
                visit(read)
            if at in self.asked or at == result:
                made.append(at)

        visit(result)
        return reads, made
