import mlx.core as mx

from tasks.budget.parts import COPIES, UNTOLD, parts_of
from tasks.graph.replay import replay
from tasks.graph.trace import trace


def test_the_parts_are_the_peak_and_logits_are_told_by_their_width() -> None:
    def step(h: mx.array, w: mx.array) -> list[mx.array]:
        return [mx.grad(lambda h: mx.logsumexp(mx.tanh(h) @ w, axis=-1).sum())(h)]

    graph = trace(step, mx.zeros((64, 32)), mx.zeros((32, 1000)))
    held = replay(graph)
    parts = parts_of(graph, held, base=7, masters=5, vocabulary=1000, blocks=1)
    assert (parts.base, parts.adapter) == (7, 20)
    assert parts.logits >= 64 * 1000 * 4
    assert parts.total == 27 + held.nbytes
    cuda = parts_of(graph, held, base=7, masters=5, vocabulary=1000, blocks=1, backend="cuda")
    assert cuda.untold == int(UNTOLD["cuda"] * (held.nbytes + COPIES * 5)) > 0
    assert cuda.total == parts.total + cuda.untold
