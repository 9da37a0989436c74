"""A peak in parts that a person can read: what there is before, and what is alive when most is."""

from tasks.artifact import Record
from tasks.graph.graph import Graph
from tasks.graph.replay import Held

COPIES = 3
"""Of the adapter, float32, beside the masters in the model: the vector that is trained, and the optimizer's moments."""


UNTOLD = {"cuda": 0.025}
"""Of the step's own bytes, by backend: what its libraries take for themselves. On an H200 ten trainings held at most
1.5 % more than their graphs tell (tests/bench/README.md)."""


class Parts(Record):
    """Bytes that training holds at its peak, by what they are for.

    Attributes:
        base: the frozen weights; both forms of a quantized base that is held dense.
        adapter: float32 masters and the optimizer's state.
        logits: arrays as wide as the vocabulary.
        kept: activations that the blocks keep for the backward pass.
        working: what the operations of one block, the one at hand, made and still need.
        queued: arrays that are done with, in the hands of operations that the device has yet to run.
        untold: what a backend takes that the graph does not tell of, such as the workspaces of its libraries.
    """

    base: int
    adapter: int
    logits: int
    kept: int
    working: int
    queued: int
    untold: int = 0

    @property
    def total(self) -> int:
        """The peak.

        Example:
            >>> Parts(base=8, adapter=1, logits=0, kept=2, working=0, queued=0).total
            11
        """
        return sum(self.model_dump().values())


def parts_of(
    graph: Graph, held: Held, *, base: int, masters: int, vocabulary: int, blocks: int, backend: str = "cpu"
) -> Parts:
    """Sorts what is held at the peak of a step.

    Args:
        graph: of the step.
        held: its peak.
        base: bytes of the frozen weights.
        masters: bytes of the adapter.
        vocabulary: width of the logits.
        blocks: of the model, each there forward and backward.
        backend: which computes it: cpu, cuda or metal.
    """
    found = dict.fromkeys(("logits", "kept", "working", "queued"), 0)
    recent = held.op - len(graph.ops) // (2 * blocks)
    for buffer in held.buffers:
        shape = graph.arrays[buffer.array].shape
        if not buffer.wanted:
            name = "queued"
        elif len(shape) > 1 and shape[-1] == vocabulary:
            name = "logits"
        else:
            name = "kept" if buffer.made < recent else "working"
        found[name] += buffer.nbytes
    untold = int(UNTOLD.get(backend, 0) * (sum(found.values()) + COPIES * masters))
    return Parts(base=base, adapter=(1 + COPIES) * masters, **found, untold=untold)
