"""The fused graph against MLX: its own compiled graph, as it draws it, has the same operations."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from tasks.graph.fuse import ARRAYS, DEPTH
from tasks.graph.trace import trace

Fn = Callable[..., list[mx.array]]
REDUCTIONS = {"Sum": "Reduce", "Max": "Reduce"}


def told(fn: Fn, *inputs: mx.array) -> Counter[str]:
    """The operations of our graph."""
    return Counter(op.name for op in trace(fn, *inputs, compiled=True).ops)


def drawn(fn: Fn, *inputs: mx.array) -> Counter[str]:
    """Those of MLX's drawing of what it compiled; a kernel is named by all that is in it."""
    mx.eval(inputs)
    mx.export_to_dot("compiled.dot", *mx.compile(fn)(*inputs))
    labels: list[str] = re.findall(r'label ="([^"]+)"', Path("compiled.dot").read_text())
    return Counter("Compiled" if name.startswith("Compiled") else REDUCTIONS.get(name, name) for name in labels)


def deep(length: int) -> Fn:
    def chain(x: mx.array) -> list[mx.array]:
        for _ in range(length):
            x = mx.sin(x) + 1.0
        return [x]

    return chain


def wide(count: int) -> Fn:
    def total(x: mx.array) -> list[mx.array]:
        parts = [x @ mx.full((4, 4), float(n)) for n in range(count)]
        while len(parts) > 1:
            parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=False)] + parts[len(parts) // 2 * 2 :]
        return parts

    return total


def shared(x: mx.array) -> list[mx.array]:
    half = mx.sigmoid(x)
    return [(x * half) @ x, mx.tanh(x) * half]


def with_broadcast(x: mx.array) -> list[mx.array]:
    row = mx.broadcast_to(mx.exp(x[0]), (4, 4))
    return [x * row, (x + row) @ row]


def asked_within(x: mx.array) -> list[mx.array]:
    y = mx.exp(x)
    return [y, mx.sin(y) * 2, y.sum()]


def softmaxed(x: mx.array) -> list[mx.array]:
    return [mx.grad(lambda x: (mx.softmax(x * 3) * mx.square(x)).sum())(x)]


FUNCTIONS = [
    deep(DEPTH // 2),
    deep(DEPTH),
    wide(8),
    wide(ARRAYS),
    wide(2 * ARRAYS),
    shared,
    with_broadcast,
    asked_within,
    softmaxed,
]


@pytest.mark.parametrize("fn", FUNCTIONS, ids=[f"{n}-{fn.__name__}" for n, fn in enumerate(FUNCTIONS)])
def test_it_is_the_graph_that_mlx_compiles(fn: Fn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = mx.array(np.arange(16, dtype=np.float32).reshape(4, 4))
    ours, theirs = told(fn, x), drawn(fn, x)
    for made_once in ("Full", "Broadcast"):  # constants, which MLX computes while it traces
        del ours[made_once], theirs[made_once]
    assert ours == theirs


def test_nothing_is_fused_that_is_not_compiled() -> None:
    assert "Compiled" not in {op.name for op in trace(shared, mx.zeros((4, 4))).ops}
