"""The traced graph against MLX: the same primitives as a plain gradient, and custom functions put where they belong."""

from collections import Counter
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest

from tasks.attention.delta import gated_delta
from tasks.grad import checkpoint
from tasks.graph.graph import Graph
from tasks.graph.trace import trace


def names(graph: Graph) -> Counter[str]:
    return Counter(op.name for op in graph.ops)


def wave(custom: bool) -> Any:
    """sin(x) w, whose backward is exp instead of cos where it is a custom function."""

    def forward(x: mx.array, w: mx.array) -> mx.array:
        return mx.sin(x) @ w

    if not custom:
        return forward
    function: Any = mx.custom_function(forward)

    @function.vjp
    def backward(primals, cotangent, _output):
        x, w = primals
        return [mx.exp(x) * (cotangent @ w.T), mx.sin(x).T @ cotangent]

    return function


def test_it_has_the_shapes_and_reads_only_what_is_there() -> None:
    graph = trace(lambda x, w: [mx.grad(lambda x: (x @ w).sum())(x)], mx.zeros((3, 4)), mx.zeros((4, 5)))
    there = set(graph.inputs)
    for op in graph.ops:
        assert not any(graph.arrays[at].nbytes > 64 for at in op.inputs if at not in there)
        there |= set(op.outputs)
    assert [graph.arrays[at].shape for at in graph.outputs] == [(3, 4)]
    assert graph.arrays[graph.outputs[0]].nbytes == 48


def test_a_custom_function_takes_its_own_backward() -> None:
    def grads(custom: bool):
        return lambda x, w: mx.grad(lambda x, w: mx.tanh(wave(custom)(x, w)).sum(), argnums=[0, 1])(x, w)

    x, w = mx.zeros((3, 4)), mx.zeros((4, 5))
    plain, own = names(trace(grads(False), x, w)), names(trace(grads(True), x, w))
    assert (plain["Cos"], plain["Exp"], own["Cos"], own["Exp"]) == (1, 0, 0, 1)
    assert own["CustomTransforms"] == 1
    assert own["Matmul"] == plain["Matmul"] == 3


def test_a_backward_may_cast_its_cotangent() -> None:
    def step(x: mx.array) -> list[mx.array]:
        function: Any = mx.custom_function(mx.sin)

        @function.vjp
        def backward(x, cotangent, _output):
            return cotangent * (mx.exp(x).astype(mx.float32) * cotangent.astype(mx.float32)).astype(x.dtype)

        return [mx.grad(lambda x: (function(2 * x) @ function(3 * x)).sum())(x)]

    graph = trace(step, mx.zeros((8, 8), mx.bfloat16))
    made = {at for op in graph.ops for at in op.outputs} | set(graph.inputs)
    for op in graph.ops:
        assert all(at in made or graph.arrays[at].shape == () for at in op.inputs), op


def test_what_forward_and_backward_both_compute_is_computed_twice_unless_compiled() -> None:
    def grads(x: mx.array, w: mx.array) -> list[mx.array]:
        return [mx.grad(lambda x, w: mx.tanh(wave(True)(x, w)).sum(), argnums=1)(x, w)]

    x, w = mx.zeros((3, 4)), mx.zeros((4, 5))
    assert names(trace(grads, x, w))["Sin"] == 2
    assert names(trace(grads, x, w, compiled=True))["Sin"] == 1


def test_each_reader_of_zeros_has_its_own_unless_compiled() -> None:
    def two(x: mx.array) -> list[mx.array]:
        return [mx.zeros((3, 4)) * x, mx.zeros((3, 4)) + x]

    assert names(trace(two, mx.zeros((3, 4))))["Full"] == 2
    assert names(trace(two, mx.zeros((3, 4)), compiled=True))["Full"] == 1


def test_what_no_gradient_asks_for_is_left_out() -> None:
    graph = trace(lambda x, w: [mx.grad(lambda w: wave(True)(x, w).sum())(w)], mx.zeros((3, 4)), mx.zeros((4, 5)))
    assert names(graph)["Exp"] == 0


def test_a_checkpoint_computes_again_after_the_cotangent() -> None:
    def layer(x: mx.array, w: mx.array) -> mx.array:
        return mx.tanh(mx.sin(x) @ w)

    def grads(fn):
        return lambda x, w: [mx.grad(lambda w: mx.square(fn(fn(x, w), w)).sum())(w)]

    x, w = mx.zeros((3, 4)), mx.zeros((4, 4))
    plain, again = trace(grads(layer), x, w), trace(grads(checkpoint(layer)), x, w)
    assert names(again)["Sin"] == names(plain)["Sin"] + 2
    assert names(again)["Depends"] >= 2


def test_nested_custom_functions() -> None:
    def grads(x: mx.array, w: mx.array) -> list[mx.array]:
        inner = wave(True)  # made while it is traced: one made before is not seen
        fn = checkpoint(lambda x, w: mx.tanh(inner(x, w)))
        return [mx.grad(lambda x: mx.square(fn(x, w)).sum())(x)]

    graph = trace(grads, mx.zeros((3, 4)), mx.zeros((4, 5)))
    assert names(graph)["Exp"] == 1
    assert names(graph)["CustomTransforms"] == 3  # the checkpoint, what is in it, and that again in the backward


def test_nothing_is_computed_and_mlx_is_left_as_it_was() -> None:
    before = mx.custom_function, mx.vjp, mx.argsort, mx.gather_mm
    mx.synchronize()
    mx.reset_peak_memory()
    start = mx.get_active_memory()
    huge = mx.zeros((100_000, 100_000))
    graph = trace(lambda x: [mx.grad(lambda x: mx.exp(x @ x).sum())(x)], huge)
    assert mx.get_peak_memory() - start < 100_000
    assert graph.arrays[graph.outputs[0]].nbytes == 40_000_000_000
    assert (mx.custom_function, mx.vjp, mx.argsort, mx.gather_mm) == before


def test_mlx_is_left_as_it_was_by_an_error_too() -> None:
    before = mx.custom_function
    with pytest.raises(ValueError, match="matmul"):
        trace(lambda x: [x @ x], mx.zeros((2, 3)))
    assert mx.custom_function is before


def test_integers_have_no_gradient() -> None:
    def grads(ids: mx.array, x: mx.array) -> list[mx.array]:
        table = nn.Embedding(10, 4)
        function: Any = mx.custom_function(lambda ids, x: table(ids) * x)

        @function.vjp
        def backward(primals, cotangent, _output):
            ids, _ = primals
            return [mx.zeros_like(ids), mx.sin(table(ids)) * cotangent]

        return [mx.grad(lambda x: function(ids, x).sum())(x)]

    graph = trace(grads, mx.zeros((3,), mx.int32), mx.ones((3, 4)))
    assert names(graph)["Sin"] == 1


def test_on_a_gpu_the_fused_delta_rule_is_told_by_its_outputs(monkeypatch) -> None:
    monkeypatch.setattr(mx, "default_device", lambda: mx.gpu)
    monkeypatch.setattr("tasks.attention.delta.has_fused", lambda *_: True)
    q, v, g = mx.zeros((1, 20, 2, 8)), mx.zeros((1, 20, 4, 6)), mx.zeros((1, 20, 4))
    graph = trace(lambda *x: gated_delta(*x), q, q, v, g, g)
    assert [graph.arrays[at].shape for at in graph.outputs] == [(1, 20, 4, 6), (1, 4, 6, 8)]
    grads = trace(lambda q: [mx.grad(lambda q: gated_delta(q, q, v, g, g)[0].sum())(q)], q)
    assert [grads.arrays[at].shape for at in grads.outputs] == [q.shape]
