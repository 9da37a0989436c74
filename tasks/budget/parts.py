"""A peak in parts that a person can read: what there is before, and what is alive when most is."""

from tasks.artifact import Record
from tasks.graph.graph import Graph
from tasks.graph.replay import Peak

COPIES = 3
"""float32 copies of the adapter beside the masters: the flat vector and Adam's two moments."""


UNTOLD = {"cuda": 0.025}
"""Share of the step's bytes that a backend's libraries take for themselves. On an H200 ten trainings took at most 1.5 %
more than their graphs predict (tests/bench/README.md)."""


class Parts(Record):
    """Bytes of training at its peak, by what they are for.

    Attributes:
        base: the frozen weights; both forms of a quantized base that is unpacked.
        adapter: float32 masters and the optimizer's state.
        logits: arrays as wide as the vocabulary.
        kept: activations that the blocks keep for the backward pass.
        working: what the operations of the current block made and still need.
        queued: arrays that are finished but not yet freed: operations that read them wait in the device's queue.
        untold: workspaces of the backend's libraries, which no graph shows.
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
    graph: Graph, peak: Peak, *, base: int, masters: int, vocabulary: int, blocks: int, backend: str = "cpu"
) -> Parts:
    """Sorts the buffers that are alive at the peak of a step.

    Args:
        graph: of the step.
        peak: its most bytes at one time.
        base: bytes of the frozen weights.
        masters: bytes of the adapter.
        vocabulary: width of the logits.
        blocks: of the model, each there forward and backward.
        backend: which computes it: cpu, cuda or metal.
    """
    sums = dict.fromkeys(("logits", "kept", "working", "queued"), 0)
    recent = peak.op - len(graph.ops) // (2 * blocks)
    for buffer in peak.buffers:
        shape = graph.arrays[buffer.array].shape
        if not buffer.wanted:
            name = "queued"
        elif len(shape) > 1 and shape[-1] == vocabulary:
            name = "logits"
        else:
            name = "kept" if buffer.made < recent else "working"
        sums[name] += buffer.nbytes
    untold = int(UNTOLD.get(backend, 0) * (sum(sums.values()) + COPIES * masters))
    return Parts(base=base, adapter=(1 + COPIES) * masters, **sums, untold=untold)
