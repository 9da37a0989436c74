"""The replayed peak against the allocator's: the same graphs, evaluated for real."""

from collections.abc import Callable, Sequence

import mlx.core as mx
import pytest

from tasks.graph.queue import NONE, QUEUES
from tasks.graph.replay import replay
from tasks.graph.trace import trace

SIDE = 512
MATRIX = 4 * SIDE * SIDE
Fn = Callable[..., Sequence[mx.array]]


def measured(fn: Fn, *inputs: mx.array) -> int:
    """The most that evaluating held beyond its inputs."""
    mx.eval(inputs)
    mx.synchronize()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    mx.eval(*fn(*inputs))
    mx.synchronize()
    return mx.get_peak_memory() - before


def chain(x: mx.array) -> list[mx.array]:
    for _ in range(8):
        x = mx.exp(x) + 1
    return [x]


def products(x: mx.array) -> list[mx.array]:
    for _ in range(60):
        x = x @ x
    return [x]


def gradient(x: mx.array) -> list[mx.array]:
    def loss(x: mx.array) -> mx.array:
        y = x
        for _ in range(6):
            y = mx.tanh(y @ x)
        return y.sum()

    return [mx.grad(loss)(x)]


def views(x: mx.array) -> list[mx.array]:
    y = mx.sin(x).reshape(SIDE // 2, 2, SIDE).transpose(1, 0, 2)
    return [y.reshape(SIDE, SIDE) + 1, mx.split(x, 2)[0]]


@pytest.mark.parametrize("fn", [chain, products, gradient, views], ids=lambda fn: fn.__name__)
def test_it_is_what_the_allocator_says(fn: Fn) -> None:
    if mx.default_device() != mx.cpu:
        pytest.skip("the queue is the CPU's")
    x = 0.01 * mx.random.normal((SIDE, SIDE))
    # The device's thread may free an operation's input just after the host has gone on: one matrix more, now and then.
    told, real = replay(trace(fn, x)).nbytes, min(measured(fn, x) for _ in range(3))
    assert real <= told + 4096
    assert told <= 1.1 * real + 4096


def test_a_chain_works_in_one_buffer() -> None:
    assert replay(trace(chain, mx.zeros((SIDE, SIDE)))).nbytes == pytest.approx(MATRIX, rel=0.01)


def test_the_parts_are_all_of_it() -> None:
    held = replay(trace(gradient, mx.zeros((SIDE, SIDE))))
    assert sum(buffer.nbytes for buffer in held.buffers) == held.nbytes


def test_without_a_queue_a_chain_of_products_holds_two() -> None:
    assert replay(trace(products, mx.zeros((SIDE, SIDE))), NONE).nbytes == pytest.approx(2 * MATRIX, rel=0.01)


@pytest.mark.parametrize("matrices", [0, 4, 8, 20, 40])
def test_a_limit_keeps_the_queue_short(matrices: int) -> None:
    """What MLX's allocator says: full groups are waited for, the open one is not."""
    if mx.default_device() != mx.cpu:
        pytest.skip("the queue is the CPU's")
    x = mx.zeros((SIDE, SIDE))
    mx.eval(x)
    mx.synchronize()
    before = mx.set_memory_limit(mx.get_active_memory() + matrices * MATRIX)
    try:
        real = min(measured(products, x) for _ in range(5))  # the device's thread frees a little late, now and then
    finally:
        mx.set_memory_limit(before)
    assert replay(trace(products, x), limit=matrices * MATRIX).nbytes == pytest.approx(real, rel=0.01)
    assert real == pytest.approx(max(6, matrices + 1) * MATRIX, rel=0.01)


def test_a_gpu_runs_further_ahead() -> None:
    graph = trace(products, mx.zeros((SIDE, SIDE)))
    assert replay(graph, QUEUES["cuda"]).nbytes >= replay(graph).nbytes


def test_a_product_is_summed_onto_what_it_is_added_to() -> None:
    def added(x: mx.array) -> list[mx.array]:
        return [mx.addmm(mx.exp(x), x, x)]

    x = mx.zeros((SIDE, SIDE))
    graph = trace(added, x)
    assert MATRIX <= measured(added, x) <= replay(graph).nbytes < 1.1 * MATRIX
    assert replay(graph, QUEUES["cuda"]).nbytes >= 2 * MATRIX  # cuBLAS reads the one and writes the other
