"""What evaluating a graph holds at most: MLX's own order and its own reuse of buffers, followed without computing.

MLX puts a graph in order from its outputs backwards, level by level while a level is narrow. An array's buffer is
shared with its views, taken over by an elementwise operation that reads it last, and freed when neither an array nor
an operation that is still queued holds it. The queue is what makes a step hold more than its arrays need.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from tasks.memory.graph import Graph, Op

WIDTH = 20
"""Of a level, beyond which MLX goes down first (MLX_BFS_MAX_WIDTH)."""

QUEUE, GROUP = 10, 10
"""On the CPU: groups of dispatches that MLX lets be queued before it waits for one, and dispatches in a group."""

SLACK = 16384
"""Bytes that a buffer may be larger than the output that takes it over."""

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
PRODUCTS = frozenset(["AddMM", "GatherMM", "GatherQMM", "Matmul", "QuantizedMatmul"])


class Buffer(NamedTuple):
    """A buffer: its bytes, the array that had it first, the number of what made that, and whether it is needed."""

    nbytes: int
    array: int
    made: int
    wanted: bool


class Held(NamedTuple):
    """The most that is held at one time, and what it is then.

    Attributes:
        nbytes: altogether, the inputs left out.
        op: number of the operation, in the order of evaluation, that is reached then.
        buffers: what is held then.
    """

    nbytes: int
    op: int
    buffers: list[Buffer]


def replay(graph: Graph) -> Held:
    """Follows the evaluation of a graph, all of whose inputs are held throughout.

    Example:
        >>> import mlx.core as mx
        >>> from tasks.memory.graph import trace
        >>> replay(trace(lambda x: [mx.exp(x @ x).sum()], mx.zeros((64, 64)))).nbytes  # exp works in place
        16388
    """
    return _Run(graph).run()


class _Run:
    def __init__(self, graph: Graph):
        self.graph, n = graph, len(graph.arrays)
        self.order = ordered(graph)
        self.buffer = list(range(n))  # of each array; a buffer is named by the array that had it first
        self.size = [0] * n  # bytes of each buffer, 0 once freed
        self.arrays = [0] * n  # arrays on each buffer that something still wants
        self.queued = [0] * n  # operations in the queue that hold each buffer
        self.strides = [_row_strides(a.shape) for a in graph.arrays]
        self.wanted = [0] * n
        for op in self.order:
            for at in op.inputs:
                self.wanted[at] += 1
        for at in graph.outputs:
            self.wanted[at] += 1
        self.now = self.dispatched = 0
        self.queue: deque[tuple[int, list[int]]] = deque()
        made = {at for op in self.order for at in op.outputs}
        self.kept = set(graph.inputs)
        for at in self.kept:
            self.arrays[at] = n  # never taken over
            self.wanted[at] += 1
        for at in {at for op in self.order for at in op.inputs} - made - self.kept:
            self.wanted[at] += 1
            self._allocate(at)
            self.arrays[at] = 1

    def run(self) -> Held:
        peak, place = self.now, -1
        for number, op in enumerate(self.order):
            self._evaluate(op)
            if self.now > peak:
                peak, place = self.now, number
            self._release(op)
        return Held(peak, place, _Run(self.graph)._until(place))

    def _until(self, place: int) -> list[Buffer]:
        """What is held when the operation of this number is reached."""
        for op in self.order[:place]:
            self._evaluate(op)
            self._release(op)
        for op in self.order[place : place + 1]:
            self._evaluate(op)
        made = {at: number for number, op in enumerate(self.order) for at in op.outputs}
        return [
            Buffer(size, at, made.get(at, -1), self.arrays[at] > 0)
            for at, size in enumerate(self.size)
            if size and at not in self.kept
        ]

    def _allocate(self, at: int) -> None:
        self.size[at] = self.graph.arrays[at].nbytes
        self.now += self.size[at]

    def _evaluate(self, op: Op) -> None:
        """Gives the outputs their buffers, and puts the operation in the queue."""
        temporary = 0
        if (shared := self._views(op)) is not None:
            for made, source in zip(op.outputs, shared, strict=True):
                self._share(made, source)
            self.dispatched += 1 + (len(op.outputs) if op.name == "CustomTransforms" else 0)
        else:
            source = self._taken_over(op)
            if source is not None:
                self._share(op.outputs[0], source)
            for made in op.outputs[source is not None :]:
                self._allocate(made)
            if op.name in PRODUCTS:
                temporary = sum(self.graph.arrays[at].nbytes for at in op.inputs[:2] if not self._plain(at))
            self.now += temporary
            self.dispatched += self._dispatches(op)
        for made in op.outputs:
            self.arrays[self.buffer[made]] += 1
        own = self.buffer[op.outputs[0]]
        holds = {self.buffer[at] for at in (*op.inputs, *op.outputs[1:])} - {own}
        for buffer in holds:
            self.queued[buffer] += 1
        self.queue.append((self.dispatched, [temporary, *holds]))

    def _dispatches(self, op: Op) -> int:
        """What the operation puts into the queue: its kernels, its copies, and what holds its inputs till then."""
        if op.name == "Concatenate":
            return len(op.inputs) + 1
        if op.name in PRODUCTS:
            return 2 + (op.name == "AddMM") + sum(not self._plain(at) for at in op.inputs[:2])
        return 3 if op.name in UPDATES else 2

    def _release(self, op: Op) -> None:
        """Lets go of what the operation read last, and of what the queue has behind it."""
        ended = GROUP * (self.dispatched // GROUP - QUEUE)
        while self.queue and self.queue[0][0] <= ended:
            temporary, *holds = self.queue.popleft()[1]
            self.now -= temporary
            for buffer in holds:
                self.queued[buffer] -= 1
                self._free(buffer)
        for at in op.inputs:
            self.wanted[at] -= 1
        for at in dict.fromkeys((*op.inputs, *op.outputs)):
            if self.wanted[at] == 0:
                self.wanted[at] = -1
                self.arrays[self.buffer[at]] -= 1
                self._free(self.buffer[at])

    def _free(self, buffer: int) -> None:
        if self.arrays[buffer] == 0 and self.queued[buffer] == 0 and self.size[buffer]:
            self.now -= self.size[buffer]
            self.size[buffer] = 0

    def _share(self, made: int, source: int) -> None:
        self.buffer[made] = self.buffer[source]

    def _views(self, op: Op) -> list[int] | None:
        """For each output the input whose buffer it shares, or None where new ones are needed."""
        first = op.inputs[0] if op.inputs else -1
        arrays, made = self.graph.arrays, op.outputs[0]
        match op.name:
            case "Transpose":
                self.strides[made] = tuple(self.strides[first][axis] for axis in op.arguments[0])
            case "Broadcast" | "BroadcastAxes":
                old, strides = arrays[first].shape, self.strides[first]
                lead = len(arrays[made].shape) - len(old)
                self.strides[made] = (0,) * lead + tuple(0 if n == 1 else s for n, s in zip(old, strides, strict=True))
            case "Slice":
                steps = op.arguments[2]
                self.strides[made] = tuple(s * step for s, step in zip(self.strides[first], steps, strict=True))
            case "Split":
                for output in op.outputs:
                    self.strides[output] = self.strides[first]
                return [first] * len(op.outputs)
            case "ExpandDims" | "Squeeze" | "Reshape" | "Flatten" | "Unflatten":
                if not self._row_contiguous(first):
                    strides = _reshaped(arrays[first].shape, self.strides[first], arrays[made].shape)
                    if strides is None:
                        return None
                    self.strides[made] = strides
            case "Depends":
                for output, source in zip(op.outputs, op.inputs, strict=False):
                    self.strides[output] = self.strides[source]
                return list(op.inputs[: len(op.outputs)])
            case "CustomTransforms":
                sources = op.inputs[-len(op.outputs) :]
                for output, source in zip(op.outputs, sources, strict=True):
                    self.strides[output] = self.strides[source]
                return list(sources)
            case "StopGradient" | "Copy" | "View" | "Contiguous":
                self.strides[made] = self.strides[first]
            case _:
                return None
        return [first]

    def _taken_over(self, op: Op) -> int | None:
        """The input in whose place the output is computed."""
        if op.name in UNARY or op.name in UPDATES:
            candidates = op.inputs[:1]
        elif op.name in BINARY:
            candidates = op.inputs
        else:
            return None
        arrays, made = self.graph.arrays, op.outputs[0]
        for at in candidates:
            buffer, array = self.buffer[at], arrays[at]
            last = self.wanted[at] == 1 and self.arrays[buffer] == 1 and self.queued[buffer] == 0
            fits = array.nbytes == arrays[made].nbytes and array.itemsize == arrays[made].itemsize
            if last and fits and self.size[buffer] <= arrays[made].nbytes + SLACK and self._dense(at):
                self.strides[made] = self.strides[at]
                return at
        if op.name in UNARY and self._dense(op.inputs[0]):
            self.strides[made] = self.strides[op.inputs[0]]
        return None

    def _row_contiguous(self, at: int) -> bool:
        wanted = 1
        for n, stride in zip(reversed(self.graph.arrays[at].shape), reversed(self.strides[at]), strict=True):
            if n != 1 and stride != wanted:
                return False
            wanted *= n
        return True

    def _dense(self, at: int) -> bool:
        """Whether the elements lie without gaps, in whatever order of the axes."""
        shape = self.graph.arrays[at].shape
        axes = sorted((s, n) for n, s in zip(shape, self.strides[at], strict=True) if n != 1)
        wanted = 1
        for stride, n in axes:
            if stride != wanted:
                return False
            wanted *= n
        return True

    def _plain(self, at: int) -> bool:
        """Whether a product can read a matrix as it lies, row by row or column by column."""
        shape, strides = self.graph.arrays[at].shape, self.strides[at]
        if len(shape) < 2:
            return True
        (m, n), (rows, columns) = shape[-2:], strides[-2:]
        return (columns == 1 and (m == 1 or rows == n)) or (rows == 1 and (n == 1 or columns == m))


def ordered(graph: Graph) -> list[Op]:
    """The operations in MLX's order: by level from the outputs back, WIDTH wide at most, then reversed."""
    makers = {at: number for number, op in enumerate(graph.ops) for at in op.outputs}
    degree = [0] * len(graph.ops)
    for at in _all_inputs(graph):
        if at in makers:
            degree[makers[at]] += 1
    tape: list[tuple[int, ...]] = [tuple(graph.outputs)]
    made: list[int] = []
    down: list[tuple[tuple[int, ...], int]] = []
    i = 0
    while i < len(tape) or down:
        if i >= len(tape):
            inputs, start = down.pop()
        else:
            inputs, start = tape[i], 0
            i += 1
        for j in range(start, len(inputs)):
            number = makers.get(inputs[j])
            if number is None:
                continue
            if len(tape) - i >= WIDTH:
                down.append((inputs, j))
                break
            degree[number] -= 1
            if degree[number] == 0:
                tape.append(graph.ops[number].inputs)
                made.append(number)
    return [graph.ops[number] for number in reversed(made)]


def _all_inputs(graph: Graph) -> Iterable[int]:
    yield from graph.outputs
    for op in graph.ops:
        yield from op.inputs


def _row_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def _reshaped(shape: tuple[int, ...], strides: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    """The strides of a reshaped view, or None where the elements must be copied."""
    runs: list[tuple[int, int]] = []  # axes that lie one in the other, as one: (elements, stride of the last)
    for n, stride in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if runs and runs[-1][1] == stride * n:
            runs[-1] = runs[-1][0] * n, stride
        else:
            runs.append((n, stride))
    found: list[int] = []
    at, left = 0, runs[0][0] if runs else 1
    for n in wanted:
        if n == 1:
            found.append(0)
            continue
        if at >= len(runs) or left % n:
            return None
        left //= n
        found.append(left * runs[at][1])
        if left == 1:
            at += 1
            left = runs[at][0] if at < len(runs) else 1
    return tuple(found)
