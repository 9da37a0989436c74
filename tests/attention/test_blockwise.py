"""Blockwise attention against float64 NumPy, stock gradients and differences; then what it saves."""

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.attention import blockwise_attention
from tasks.attention.blockwise import BUDGET
from tasks.grad import checkpoint, difference_gap
from tests.attention.families import apart

Case = dict[str, Any]


def draw(B: int, H: int, N: int, L: int, D: int, E: int | None = None, seed: int = 0) -> list[mx.array]:
    """Random q, k, v and a cotangent."""
    keys = mx.random.split(mx.random.key(seed), 4)
    shapes = [(B, H, L, D), (B, N, L, D), (B, N, L, E or D), (B, H, L, E or D)]
    return [mx.random.normal(shape, key=key) for shape, key in zip(shapes, keys, strict=True)]


def allowed(L: int, segments: Any, window: int | None) -> np.ndarray:
    """Bool [B or 1, 1, L, L], spelled out."""
    at = np.arange(L)
    near = (at[:, None] >= at) & (at[:, None] - at < (window or L))
    if segments is None:
        return near[None, None]
    ids = np.array(segments)
    return (near & (ids[:, :, None] == ids[:, None]))[:, None]


def plain(xp: Any, q: Any, k: Any, v: Any, mask: Any, scale: float, sinks: Any = None, cap: float | None = None) -> Any:
    """The textbook, in NumPy or MLX."""
    repeats = q.shape[1] // k.shape[1]
    k, v = xp.repeat(k, repeats, axis=1), xp.repeat(v, repeats, axis=1)
    s = scale * (q @ xp.swapaxes(k, -1, -2))
    s = s if cap is None else cap * xp.tanh(s / cap)
    weights = xp.exp(s - 20) * mask  # a shift as good as any: tests keep scores small
    total = weights.sum(axis=-1, keepdims=True)
    total = total if sinks is None else total + xp.exp(sinks - 20)[:, None, None]
    return (weights / total) @ v


CASES: dict[str, Case] = {
    "plain": {},
    "window": {"window": 5},
    "window longer than a tile": {"window": 21},
    "segments": {"segments": True},
    "segments and window": {"segments": True, "window": 6},
    "sinks": {"sinks": True, "window": 9, "segments": True},
    "cap": {"cap": 0.7, "segments": True},
    "a block of keys a tile": {"segments": True, "window": 20, "budget": 1},
    "picked": {"segments": True, "picked": True, "budget": 1},
}


@pytest.fixture
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    case = dict(CASES[request.param])
    monkeypatch.setitem(BUDGET, "cpu", case.pop("budget", BUDGET["cpu"]))
    if case.get("segments"):
        case["segments"] = mx.array([[0] * 3 + [1] * 14 + [2] + [3] * 23, [4] * 30 + [0] * 11])
    if case.get("sinks"):
        case["sinks"] = mx.random.normal((4,), key=mx.random.key(9))
    if case.get("picked"):  # the first of a query's segment, and two that it need not see; seldom itself
        first = mx.argmax(case["segments"][:, :, None] == case["segments"][:, None], axis=-1)
        others = mx.random.randint(0, 41, (2, 41, 2), key=mx.random.key(5))
        case["picked"] = mx.concatenate([first[..., None].astype(mx.int32), others], axis=-1)
    return case


@pytest.mark.parametrize("options", CASES, indirect=True)
def test_values_and_gradients(options: Case) -> None:
    q, k, v, cotangent = draw(2, 4, 2, 41, 8, 6)
    mask = allowed(41, options.get("segments"), options.get("window"))
    if "picked" in options:
        mask = mask & (np.array(options["picked"])[..., None] == np.arange(41)).any(2)[:, None]
    sinks, cap = options.get("sinks"), options.get("cap")
    inputs = [q, k, v] + ([] if sinks is None else [sinks])

    def ours(q: mx.array, k: mx.array, v: mx.array, *sinks: mx.array) -> mx.array:
        more = {**options, "sinks": sinks[0] if sinks else None}
        return blockwise_attention(q, k, v, scale=0.4, block=8, **more)

    def theirs(q: mx.array, k: mx.array, v: mx.array, *sinks: mx.array) -> mx.array:
        return plain(mx, q, k, v, mx.array(mask), 0.4, sinks[0] if sinks else None, cap)

    wide = [np.array(x).astype(np.float64) for x in inputs]
    exact = plain(np, wide[0], wide[1], wide[2], mask, 0.4, wide[3] if sinks is not None else None, cap)
    (out,), grads = mx.vjp(ours, inputs, [cotangent])
    np.testing.assert_allclose(np.array(out), exact, rtol=2e-5, atol=2e-6)
    for grad, expected in zip(grads, mx.vjp(theirs, inputs, [cotangent])[1], strict=True):
        assert apart(grad, expected) < 3e-6
    assert difference_gap(ours, inputs, mx.random.key(3)).gap < 2e-3


@settings(max_examples=40, deadline=None)
@given(
    L=st.integers(1, 50),
    B=st.integers(1, 2),
    heads=st.sampled_from([(1, 1), (4, 2), (3, 1), (2, 2)]),
    block=st.integers(1, 20),
    window=st.none() | st.integers(1, 60),
    cuts=st.lists(st.booleans(), min_size=100, max_size=100),
)
def test_any_shape(L: int, B: int, heads: tuple[int, int], block: int, window: int | None, cuts: list[bool]) -> None:
    segments = np.cumsum(np.array(cuts[: B * L]).reshape(B, L), axis=1)
    q, k, v, cotangent = draw(B, *heads, L, 4, seed=L)
    mask = mx.array(allowed(L, segments, window))
    ours, theirs = (
        mx.vjp(fn, [q, k, v], [cotangent])
        for fn in (
            lambda q, k, v: blockwise_attention(
                q, k, v, scale=0.5, segments=mx.array(segments), window=window, block=block
            ),
            lambda q, k, v: plain(mx, q, k, v, mask, 0.5),
        )
    )
    for left, right in zip(ours[0] + ours[1], theirs[0] + theirs[1], strict=True):
        assert mx.allclose(left, right, rtol=1e-4, atol=1e-5)


def test_half_precision_accumulates_in_float32() -> None:
    inputs = draw(1, 4, 2, 130, 16)
    halves = [x.astype(mx.bfloat16) for x in inputs]
    wide = [x.astype(mx.float32) for x in halves]

    def attend(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        return blockwise_attention(q, k, v, scale=0.25, block=32)

    left, right = (mx.vjp(attend, x[:3], x[3:]) for x in (halves, wide))
    for a, b in zip(left[0] + left[1], right[0] + right[1], strict=True):
        assert a.dtype == mx.bfloat16
        assert apart(a.astype(mx.float32), b) < 4e-3  # one rounding of the result, 2**-9


def test_large_scores_do_not_overflow() -> None:
    q, k, v, cotangent = draw(1, 1, 1, 40, 8)
    out, grads = mx.vjp(lambda *x: blockwise_attention(*x, scale=100.0, block=8), [q, k, v], [cotangent])
    assert all(mx.isfinite(x).all() for x in out + grads)


def test_compiled_with_segments_as_input_and_checkpointed() -> None:
    q, k, v, _ = draw(2, 4, 2, 40, 8)

    def loss(q: mx.array, k: mx.array, v: mx.array, segments: mx.array) -> mx.array:
        def attend(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
            return blockwise_attention(q, k, v, scale=0.3, segments=segments, block=16)

        return checkpoint(attend)(q, k, v).square().sum()

    def reference(q: mx.array, k: mx.array, v: mx.array, segments: mx.array) -> mx.array:
        return plain(mx, q, k, v, mx.array(allowed(40, segments, None)), 0.3).square().sum()

    step = mx.compile(mx.value_and_grad(loss, argnums=(0, 1, 2)))
    for first in (5, 20):
        segments = mx.array([[0] * first + [1] * (40 - first)] * 2)
        value, grads = step(q, k, v, segments)
        expected, wanted = mx.value_and_grad(reference, argnums=(0, 1, 2))(q, k, v, segments)
        assert value.item() == pytest.approx(expected.item(), rel=1e-5)
        assert all(apart(a, b) < 1e-5 for a, b in zip(grads, wanted, strict=True))


@pytest.mark.parametrize("wrong", [{"block": 0}, {"window": 0}])
def test_sizes_below_one(wrong: Case) -> None:
    q, k, v, _ = draw(1, 2, 1, 4, 4)
    with pytest.raises(ValueError, match="at least 1"):
        blockwise_attention(q, k, v, scale=1.0, **wrong)


def test_shapes_that_do_not_fit() -> None:
    q, k, v, _ = draw(1, 2, 1, 4, 4)
    with pytest.raises(ValueError, match="as many keys"):
        blockwise_attention(q, k[:, :, :3], v, scale=1.0)


@pytest.fixture
def back_pressure() -> Iterator[None]:
    """A low memory limit: without one the CPU's allocator runs ahead of the computation."""
    before = mx.set_memory_limit(2**26)
    yield
    mx.set_memory_limit(before)


def peak_of(fn: Any, *inputs: mx.array) -> int:
    """Bytes above what was there, at the peak of one call."""
    mx.eval(inputs)
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(fn(*inputs))
    return mx.get_peak_memory() - before


@pytest.mark.usefixtures("back_pressure")
def test_a_fifth_of_the_stock_peak_at_4096() -> None:
    q, k, v, _ = draw(1, 1, 1, 4096, 32)

    def grads(attend: Any) -> Any:
        return mx.grad(lambda *x: attend(*x).sum(), argnums=(0, 1, 2))

    stock = peak_of(grads(lambda *x: mx.fast.scaled_dot_product_attention(*x, scale=0.2, mask="causal")), q, k, v)
    ours = peak_of(grads(lambda *x: blockwise_attention(*x, scale=0.2)), q, k, v)
    assert ours < stock / 5


@pytest.mark.usefixtures("back_pressure")
def test_a_row_of_16384_in_bounded_memory() -> None:
    L, D = 16_384, 32
    x, w = mx.random.normal((1, L, D), key=mx.random.key(0)), mx.random.normal((3, D, D), key=mx.random.key(1))
    segments = (mx.arange(L) // 3000)[None]

    def loss(w: mx.array) -> mx.array:
        q, k, v = ((x @ w[n])[:, None] for n in range(3))
        return blockwise_attention(q, k, v, scale=0.01, segments=segments, window=4096).square().mean()

    assert peak_of(mx.value_and_grad(loss), w) < 100 * 2**20  # one matrix of scores alone would take 1 GiB
