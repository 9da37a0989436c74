"""The order of evaluation, as MLX's width limit makes it."""

import mlx.core as mx

from tasks.graph.order import WIDTH, ordered
from tasks.graph.trace import trace


def branches(count: int):
    """`count` chains of a sine and an exponential, added up."""

    def total(x: mx.array) -> list[mx.array]:
        return [sum((mx.exp(mx.sin(x @ x * n)) for n in range(1, count)), mx.exp(mx.sin(x @ x)))]  # type: ignore[list-item]

    return total


def test_each_operation_comes_after_what_it_reads() -> None:
    graph = trace(branches(2 * WIDTH), mx.zeros((4, 4)))
    there = set(range(len(graph.arrays))) - {at for op in graph.ops for at in op.outputs}
    order = ordered(graph)
    assert sorted(map(id, order)) == sorted(map(id, graph.ops))
    for op in order:
        assert there.issuperset(op.inputs)
        there.update(op.outputs)


def test_a_narrow_graph_goes_level_by_level() -> None:
    def three(x: mx.array) -> list[mx.array]:
        return [mx.exp(mx.sin(x)), mx.cos(mx.tan(x)), mx.abs(mx.tanh(x))]

    names = [op.name for op in ordered(trace(three, mx.zeros((4, 4))))]
    assert {*names[:3]} == {"Sin", "Tan", "Tanh"}


def test_a_wide_graph_goes_down_first() -> None:
    def many(x: mx.array) -> list[mx.array]:
        return [mx.exp(mx.sin(x * n)) for n in range(2, 3 * WIDTH)]

    names = [op.name for op in ordered(trace(many, mx.zeros((4, 4))))]
    assert "Exp" in names[: len(names) // 2]
