"""Peak bytes of evaluating a graph: MLX's own order and its own reuse of buffers, followed without computing.

MLX puts a graph in order from its outputs backwards, level by level while a level is narrow. An array's buffer is
shared with its views, taken over by an elementwise operation that reads it last, and freed when neither an array nor
an operation that is still queued needs it. The queue is what makes a step take more than its arrays need.
"""

# Three counts decide when a buffer is freed, kept apart because MLX keeps them apart:
#
#     wanted[array]    readers to come, plus one each where the array is an output or an input
#     arrays[buffer]   arrays on the buffer that are still wanted: views share it, an in-place operation hands it over
#     queued[buffer]   operations handed to the device that have read or written it and are not through yet
#
# A buffer goes when the last two are 0. Without the queue only `arrays` would matter, and a graph's peak would be a
# property of its order alone; with it, a buffer that nothing wants any more stays for up to a few hundred operations.
# A buffer is taken over in place only by its last reader, when nothing queued needs it, and sizes match within SLACK.

from collections import deque
from typing import NamedTuple

from tasks.graph.buffers import UPDATES, Layout, Written
from tasks.graph.graph import Graph, Op
from tasks.graph.order import ordered
from tasks.graph.queue import QUEUES, Queue

SLACK = 16384
"""Bytes that a buffer may be larger than the output that takes it over."""


class Buffer(NamedTuple):
    """A buffer: its bytes, the array that had it first, the number of what made that, and whether it is needed."""

    nbytes: int
    array: int
    made: int
    wanted: bool


class Peak(NamedTuple):
    """The most bytes that are alive at one time, and whose they are.

    Attributes:
        nbytes: altogether, the inputs left out.
        op: number of the operation, in the order of evaluation, that is reached then.
        buffers: those alive then.
    """

    nbytes: int
    op: int
    buffers: list[Buffer]


def replay(graph: Graph, queue: Queue = QUEUES["cpu"], *, limit: int | None = None) -> Peak:
    """Follows the evaluation of a graph, all of whose inputs stay alive throughout.

    Args:
        graph: what is evaluated.
        queue: how far MLX runs ahead of the device.
        limit: bytes, the inputs left out, above which MLX waits for the groups that it has handed over
            (`mx.set_memory_limit`), but not for the one that is open; None sets no limit.

    Example:
        >>> import mlx.core as mx
        >>> from tasks.graph.trace import trace
        >>> replay(trace(lambda x: [mx.exp(x @ x).sum()], mx.zeros((64, 64)))).nbytes  # exp works in place
        16388
    """
    return _Run(graph, queue, limit).run()


class _Run:
    def __init__(self, graph: Graph, queue: Queue, limit: int | None):
        self.graph, self.policy, self.limit, n = graph, queue, limit, len(graph.arrays)
        self.order = ordered(graph)
        self.buffer = list(range(n))  # of each array; a buffer is named by the array that had it first
        self.size = [0] * n  # bytes of each buffer, 0 once freed
        self.arrays = [0] * n  # arrays on each buffer that something still wants
        self.queued = [0] * n  # operations in the queue that need each buffer
        self.layout = Layout(graph, sums=queue.sums)
        self.wanted = [0] * n
        for op in self.order:
            for at in op.inputs:
                self.wanted[at] += 1
        for at in graph.outputs:
            self.wanted[at] += 1
        self.now = self.group = self.count = self.elements = 0
        self.full = -1  # the last group that its operations filled
        self.queue: deque[tuple[int, list[int]]] = deque()
        made = {at for op in self.order for at in op.outputs}
        self.kept = set(graph.inputs)
        for at in self.kept:
            self.arrays[at] = n  # never taken over
            self.wanted[at] += 1
        for at in {at for op in self.order for at in op.inputs} - made - self.kept:
            self.wanted[at] += 1
            self._allocate(at, graph.arrays[at].nbytes)
            self.arrays[at] = 1

    def run(self) -> Peak:
        peak, place = self.now, -1
        for number, op in enumerate(self.order):
            self._evaluate(op)
            if self.now > peak:
                peak, place = self.now, number
            self._release(op)
        return Peak(peak, place, _Run(self.graph, self.policy, self.limit)._until(place))

    def _until(self, place: int) -> list[Buffer]:
        """The buffers alive when the operation of this number is reached."""
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

    def _allocate(self, at: int, nbytes: int) -> None:
        self.size[at] = nbytes
        self.now += nbytes

    def _evaluate(self, op: Op) -> None:
        """Gives the outputs their buffers, and puts the operation in the queue."""
        temporary: list[int] = []
        if (shared := self.layout.views(op)) is not None:
            for made, source in zip(op.outputs, shared, strict=True):
                self.buffer[made] = self.buffer[source]
            dispatches = int(self.policy.views)
        else:
            fresh = [self._write(at, written) for at, written in zip(op.outputs, self.layout.written(op), strict=True)]
            temporary = self.layout.temporary(op)
            self.now += sum(temporary)
            dispatches = self._dispatches(op, copies=fresh[0]) + len(temporary) + self.policy.views
        for made in op.outputs:
            self.arrays[self.buffer[made]] += 1
        # As in MLX: those of the inputs and of the further outputs, without the output's own, which an input may have
        # given it.
        needed = {self.buffer[at] for at in (*op.inputs, *op.outputs[1:])} - {self.buffer[op.outputs[0]]}
        for buffer in needed:
            self.queued[buffer] += 1
        self._dispatch(op, dispatches, [sum(temporary), *needed])

    def _write(self, made: int, written: Written) -> bool:
        """Takes over the buffer of an input that is read for the last time, or allocates one; whether it did."""
        for at in written.candidates:
            buffer = self.buffer[at]
            last = self.wanted[at] == 1 and self.arrays[buffer] == 1 and self.queued[buffer] == 0
            fits = self.graph.arrays[at].itemsize == self.graph.arrays[made].itemsize
            if last and fits and written.nbytes <= self.size[buffer] <= written.nbytes + SLACK:
                self.layout.take(made, at)
                self.buffer[made] = buffer
                return False
        self._allocate(made, written.nbytes)
        return True

    def _dispatch(self, op: Op, dispatches: int, held: list[int]) -> None:
        """Puts an operation into the queue, with the buffers that it needs until it is through."""
        self.count += dispatches
        if self.policy.elements is None:
            self.group, left = self.group + self.count // self.policy.size, self.count % self.policy.size
            self.queue.append((self.group if left else self.group - 1, held))
            self.count, self.full = left, self.group - 1
            return
        self.queue.append((self.group, held))
        if dispatches:
            self.elements += sum(self.layout.elements(at) for at in op.inputs)
        if self.count > self.policy.size or self.elements > self.policy.elements:
            self.full, self.group, self.count, self.elements = self.group, self.group + 1, 0, 0

    def _dispatches(self, op: Op, *, copies: bool) -> int:
        """The kernels of an operation that writes: into a buffer of its own, or into an input's."""
        if op.name == "Concatenate":
            return len(op.inputs)
        return 1 + (copies and (op.name in UPDATES or (op.name == "AddMM" and self.policy.sums)))

    def _release(self, op: Op) -> None:
        """Lets go of what the operation read last, and of what the queue has behind it."""
        while self.queue and self.queue[0][0] < self.group - self.policy.waiting:
            self._through()
        if self.limit is not None and self.now > self.limit and self._waits():
            if self.policy.elements is not None:  # a GPU is handed the open group too, which is not waited for
                self.group, self.count, self.elements = self.group + 1, 0, 0
            while self.now > self.limit and self._waits():
                oldest = self.queue[0][0]
                while self.queue and self.queue[0][0] == oldest:
                    self._through()
        for at in op.inputs:
            self.wanted[at] -= 1
        for at in dict.fromkeys((*op.inputs, *op.outputs)):
            if self.wanted[at] == 0:
                self.wanted[at] = -1
                self.arrays[self.buffer[at]] -= 1
                self._free(self.buffer[at])

    def _waits(self) -> bool:
        """Whether a full group is in the queue."""
        return bool(self.queue) and self.queue[0][0] <= self.full

    def _through(self) -> None:
        temporary, *needed = self.queue.popleft()[1]
        self.now -= temporary
        for buffer in needed:
            self.queued[buffer] -= 1
            self._free(buffer)

    def _free(self, buffer: int) -> None:
        if self.arrays[buffer] == 0 and self.queued[buffer] == 0 and self.size[buffer]:
            self.now -= self.size[buffer]
            self.size[buffer] = 0
