"""The gated delta rule against mlx-lm's loop over positions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.models.gated_delta import gated_delta_ops

from tasks.attention.delta import CHUNK, gated_delta
from tasks.graph.queue import NONE
from tasks.graph.replay import replay
from tasks.graph.trace import trace
from tests.attention.families import apart
from tests.step.test_law import LINEAR, WAYS, check, fast, model_of, plain

NAMES = ["y", "q", "k", "v", "g", "beta"]


def _drawn(T: int, *, same_key: bool = False, channels: bool = False) -> tuple[list[mx.array], mx.array]:
    """(q, k, v, g, beta), cotangent; a decay for each channel has as many heads of keys as of values."""
    a, b, c, d, e, f = mx.random.split(mx.random.key(T), 6)
    heads = 4 if channels else 2
    q, k = mx.random.normal((2, T, heads, 8), key=a), mx.random.normal((2, T, heads, 8), key=b)
    k = mx.broadcast_to(k[:, :1], k.shape) if same_key else k
    k = k / mx.linalg.norm(k, axis=-1, keepdims=True)
    v, cotangent = mx.random.normal((2, T, 4, 6), key=c), mx.random.normal((2, T, 4, 6), key=f)
    g = mx.sigmoid(mx.random.normal((2, T, 4, 8) if channels else (2, T, 4), key=d) * 3 + 3)
    beta = mx.sigmoid(mx.random.normal((2, T, 4), key=e) * 2)
    return [q, k, v, g, beta], cotangent


@pytest.fixture
def fused(monkeypatch):
    """Makes MLX compute the forward, as on Metal; on a CPU its kernel is a loop. Gives how often it did."""
    calls, stock = [], mx.fast.gated_delta_update

    def counted(*arrays: Any) -> list[mx.array]:
        calls.append(arrays)
        return stock(*arrays)

    monkeypatch.setattr("tasks.attention.delta.has_fused", lambda keys, values, gates: gates == 3)
    monkeypatch.setattr(mx.fast, "gated_delta_update", counted)
    return calls


@pytest.mark.parametrize("T", [1, CHUNK - 1, CHUNK, 3 * CHUNK + 5])
@pytest.mark.parametrize("same_key", [False, True])
@pytest.mark.parametrize("channels", [False, True])
def test_values_and_gradients(T: int, same_key: bool, channels: bool) -> None:
    drawn, cotangent = _drawn(T, same_key=same_key, channels=channels)
    ours = mx.vjp(lambda *x: gated_delta(*x)[0], drawn, [cotangent])
    theirs = mx.vjp(lambda *x: gated_delta_ops(*x)[0], drawn, [cotangent])
    for name, a, b in zip(NAMES, ours[0] + ours[1], theirs[0] + theirs[1], strict=True):
        allowed = 1e-4 if name == "g" else 1e-5  # g's is a small difference of sums over the chunk
        assert apart(a, b) < allowed or mx.abs(b).max() < 1e-6, name


def test_the_fused_forward_and_its_gradients(fused) -> None:
    drawn, cotangent = _drawn(3 * CHUNK + 5)
    ours = mx.vjp(lambda *x: gated_delta(*x)[0], drawn, [cotangent])
    theirs = mx.vjp(lambda *x: gated_delta_ops(*x)[0], drawn, [cotangent])
    assert len(fused) == 1
    for name, a, b in zip(NAMES, ours[0] + ours[1], theirs[0] + theirs[1], strict=True):
        assert apart(a, b) < (1e-4 if name == "g" else 1e-5), name


def test_the_fused_forward_has_decays_in_float32(fused) -> None:
    drawn, _ = _drawn(CHUNK)
    y, _ = gated_delta(*(x.astype(mx.bfloat16) for x in drawn[:3]), *drawn[3:])
    assert y.dtype == mx.bfloat16
    assert [x.dtype for x in fused[0]] == [mx.float32] * 5


@pytest.mark.parametrize("way", ["padded", "every second block recomputed"])
@pytest.mark.parametrize("family", ["qwen3_next", "qwen3_5", "olmo_hybrid"])
def test_a_step_with_the_fused_forward_is_the_plain_one(family: str, way: str, fused) -> None:
    assert family in LINEAR
    layout, options = WAYS[way]
    check(fast(model_of(family), layout, **options), plain(family, dtype=mx.float64))
    assert fused


@pytest.mark.parametrize("channels", [False, True])
def test_a_decay_of_zero_forgets(channels: bool) -> None:
    (q, k, v, g, beta), cotangent = _drawn(50, channels=channels)
    g[:, 20] = 0.0
    left, grads = mx.vjp(lambda *x: gated_delta(*x)[0], [q, k, v, g, beta], [cotangent])
    right = gated_delta_ops(q, k, v, g, beta)[0]
    assert apart(left[0], right) < 1e-5
    assert all(np.isfinite(np.array(grad)).all() for grad in grads)


def test_the_last_state_is_given() -> None:
    drawn, _ = _drawn(CHUNK + 3)
    assert apart(gated_delta(*drawn)[1], gated_delta_ops(*drawn)[1]) < 1e-5


def test_no_chunk_has_a_gradient_as_long_as_the_row() -> None:
    (q, k, v, g, beta), _ = _drawn(40 * CHUNK)
    graph = trace(lambda v: [mx.grad(lambda v: gated_delta(q, k, v, g, beta)[0].sum())(v)], v)
    assert sum(op.name == "SliceUpdate" for op in graph.ops) < 10


def test_memory_grows_with_the_length_and_not_with_the_layers() -> None:
    """What the gradient cannot do without; told by its graph, as a measurement tells how far MLX ran ahead too."""

    def held(T: int, layers: int) -> int:
        return replay(trace(_gradient(layers), *_arguments(T)), NONE).nbytes

    one = held(512, 1)
    assert held(4096, 1) < 8.1 * one
    assert held(512, 4) < 2 * one


def test_memory_is_what_the_graph_tells() -> None:
    given = _arguments(4096)
    mx.eval(given)
    with _measured() as held:
        mx.eval(_gradient(1)(*given))
    if mx.default_device() == mx.cpu:
        assert held[0] <= replay(trace(_gradient(1), *given)).nbytes


def _arguments(T: int) -> list[mx.array]:
    (q, k, v, g, beta), cotangent = _drawn(T)
    return [v, q, k, g, beta, cotangent]


def _gradient(layers: int) -> Callable[..., list[mx.array]]:
    def loss(v: mx.array, q: mx.array, k: mx.array, g: mx.array, beta: mx.array, cotangent: mx.array) -> mx.array:
        for _ in range(layers):
            v = gated_delta(q, k, v, g, beta)[0]
        return (v * cotangent).sum()

    return lambda *given: [mx.grad(loss)(*given)]


@contextmanager
def _measured() -> Iterator[list[int]]:
    """The peak inside, over what was held before, in bytes."""
    mx.synchronize()
    mx.clear_cache()
    before, held = mx.get_active_memory(), []
    mx.reset_peak_memory()
    yield held
    held.append(mx.get_peak_memory() - before)
