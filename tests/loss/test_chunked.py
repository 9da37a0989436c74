from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tasks.grad import Part, accumulate, add, checkpoint, difference_gap, divide, value_and_grad
from tasks.loss import LOSSES, CrossEntropy, Loss, LossSum, MaskedCrossEntropy
from tasks.loss.chunked import chunked_loss, gather_supervised
from tasks.memory import Memory, limits
from tasks.model.head import find_head
from tests.tiny import arrays, attach_random, tiny_model, token_ids

SMOOTHED = MaskedCrossEntropy(label_smoothing=0.1, z_loss=1e-3)
KINDS: list[Loss] = [*(kind() for kind in LOSSES.values()), CrossEntropy(label_smoothing=0.1, z_loss=1e-3), SMOOTHED]
N, D, V = 23, 32, 48


def rows(n: int = N, d: int = D, v: int = V, dtype: mx.Dtype = mx.float32) -> tuple[mx.array, mx.array, mx.array]:
    """Hidden states, targets, and weights of which some are 0 and some a half."""
    k = mx.random.split(mx.random.key(1), 3)
    weights_N = mx.array([0.0, 1.0, 0.5, 1.0])[mx.random.randint(0, 4, (n,), key=k[2])]
    return mx.random.normal((n, d), key=k[0]).astype(dtype), mx.random.randint(0, v, (n,), key=k[1]), weights_N


def head(
    v: int = V, d: int = D, dtype: mx.Dtype = mx.float32, bits: int | None = None
) -> Callable[[mx.array], mx.array]:
    """A soft-capped projection, dense or quantized."""
    linear = nn.Linear(d, v, bias=False)
    linear.weight = (0.3 * mx.random.normal((v, d), key=mx.random.key(9))).astype(dtype)
    projection = linear if bits is None else linear.to_quantized(32, bits)
    return lambda h: mx.tanh(projection(h) / 5) * 5


def relative(ours: mx.array, theirs: mx.array) -> float:
    ours, theirs = ours.astype(mx.float32), theirs.astype(mx.float32)
    return float(np.array(mx.linalg.norm(ours - theirs) / mx.linalg.norm(theirs)))


@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize(("dtype", "tolerance"), [(mx.float32, 1e-6), (mx.bfloat16, 2e-2), (mx.float16, 2e-3)])
@pytest.mark.parametrize("chunk", [1, 10, 23, 100])
@pytest.mark.parametrize("loss", KINDS, ids=repr)
def test_loss_and_gradient_are_those_of_full_logits(loss, chunk, dtype, tolerance, bits):
    h_ND, targets_N, weights_N = rows(dtype=dtype)
    project = head(dtype=dtype, bits=bits)
    full, grad = value_and_grad(lambda h: loss(project(h), targets_N, weights_N))(h_ND)

    def chunked(h: mx.array, targets: mx.array, weights: mx.array) -> LossSum:
        return chunked_loss(loss, project, h, targets, weights, chunk=chunk)

    for fn in (value_and_grad(chunked), mx.compile(value_and_grad(chunked))):
        ours, dh = fn(h_ND, targets_N, weights_N)
        assert ours[0].dtype == ours[1].dtype == mx.float32
        assert dh.dtype == dtype
        assert ours[0].item() == pytest.approx(full.total.item(), rel=max(tolerance / 10, 1e-6))
        assert ours[1].item() == full.count.item()
        assert relative(dh, grad) < tolerance


@pytest.mark.parametrize("loss", KINDS, ids=repr)
def test_the_gradient_is_that_of_differences(loss):
    h_ND, targets_N, weights_N = rows(n=5)
    project = head()
    gap = difference_gap(
        lambda h: chunked_loss(loss, project, h, targets_N, weights_N, chunk=2).total, [h_ND], mx.random.key(0)
    )
    assert gap.gap < 1e-3


def test_the_cotangent_scales_in_float32():
    h_ND, targets_N, weights_N = rows(dtype=mx.bfloat16)
    project, loss = head(dtype=mx.bfloat16), CrossEntropy()

    def grad(scale: float) -> mx.array:
        return mx.grad(lambda h: scale * chunked_loss(loss, project, h, targets_N, weights_N, chunk=8).total)(h_ND)

    assert mx.array_equal(grad(2.0**-20) * 2.0**20, grad(1.0)).item()  # exact powers of two lose nothing


def test_small_probabilities_survive_float16():
    """400 words at p = 5e-8 each, under float16's smallest number, and one the model is sure of."""
    weight = mx.concatenate([mx.full((1, 32), 0.5), mx.full((400, 32), -0.025)]).astype(mx.float16)
    h = mx.ones((1, 32), mx.float16)
    target, one = mx.array([0]), mx.ones(1)

    def grad(fn: Callable[[mx.array], mx.array]) -> mx.array:
        return mx.grad(lambda h: 1e4 * fn(h))(h)

    wide, wide_h = weight.astype(mx.float32), h.astype(mx.float32)
    true = mx.grad(lambda h: 1e4 * CrossEntropy()(h @ wide.T, target, one).total)(wide_h)
    ours = grad(lambda h: chunked_loss(CrossEntropy(), lambda h: h @ weight.T, h, target, one, chunk=1).total)
    assert relative(ours, true) < 0.05


@pytest.mark.parametrize("compiled", [False, True])
def test_nothing_supervised_is_zero_with_zero_gradient(compiled):
    h_ND, targets_N, _ = rows()
    step = value_and_grad(lambda h, w: chunked_loss(CrossEntropy(), head(), h, targets_N, w, chunk=8))
    step = mx.compile(step) if compiled else step
    loss, dh = step(h_ND, mx.zeros(N))
    assert (loss[0].item(), loss[1].item(), mx.abs(dh).max().item()) == (0, 0, 0)


@pytest.mark.parametrize("backward", [True, False])
def test_no_rows_at_all(backward):
    h_ND, targets_N, weights_N = rows(n=0)
    fn = value_and_grad(
        lambda h: chunked_loss(CrossEntropy(), head(), h, targets_N, weights_N, chunk=8, backward=backward)
    )
    loss, dh = fn(h_ND)
    assert (loss.total.item(), loss.count.item(), loss.mean.item(), dh.shape) == (0, 0, 0, (0, D))


def test_rows_of_weight_zero_may_hold_anything():
    h_ND, targets_N, _ = rows(n=4)
    project = head()
    weights_N = mx.array([True, True, False, False])

    def loss(h: mx.array, targets: mx.array, weights: mx.array) -> LossSum:
        return chunked_loss(CrossEntropy(), project, h, targets, weights, chunk=3)

    padded, dh = value_and_grad(loss)(h_ND, targets_N, weights_N)
    plain, grad = value_and_grad(loss)(h_ND[:2], targets_N[:2], mx.ones(2))
    assert padded.total.item() == pytest.approx(plain.total.item(), rel=1e-6)
    assert padded.count.item() == 2
    assert relative(dh[:2], grad) < 1e-6
    assert not dh[2:].any().item()


def test_only_the_hidden_states_have_a_gradient():
    h_ND, targets_N, weights_N = rows()
    weight = mx.random.normal((V, D), key=mx.random.key(2))

    def total(h: mx.array, weight: mx.array, weights: mx.array) -> mx.array:
        loss = chunked_loss(CrossEntropy(), lambda h: h @ weight.T, h, targets_N, weights, chunk=8)
        return loss.total + 3 * loss.count

    dh, dweight, dweights = mx.grad(total, argnums=[0, 1, 2])(h_ND, weight, weights_N)
    assert dh.any().item()
    assert not dweight.any().item()
    assert not dweights.any().item()
    assert not mx.grad(lambda h: chunked_loss(CrossEntropy(), head(), h, targets_N, weights_N, chunk=8).count)(
        h_ND
    ).any()


def test_a_wrong_call_says_what_is_wrong():
    h_ND, targets_N, weights_N = rows()
    with pytest.raises(ValueError, match="chunk is 0; give at least 1 position"):
        chunked_loss(CrossEntropy(), head(), h_ND, targets_N, weights_N, chunk=0)
    with pytest.raises(ValueError, match=r"hidden states are \(23, 32\), targets \(23,\), weights \(22,\)"):
        chunked_loss(CrossEntropy(), head(), h_ND, targets_N, weights_N[1:], chunk=4)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("outer", ["plain", "checkpoint", "mx.checkpoint"])
def test_gathered_rows_are_the_mask_over_full_logits(outer, compiled):
    """Through a weight before the gather; and the whole under a checkpoint, the index an argument of it."""
    x_BTD = mx.random.normal((2, 7, D), key=mx.random.key(4))
    targets_BT = mx.random.randint(0, V, (2, 7), key=mx.random.key(5))
    mask_BT = mx.array([[0, 1, 1, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0, 1]])
    index_N = mx.array([1, 2, 5, 7, 13, 0, 0])  # the last two fill up
    weights_N = mx.array([1, 1, 1, 1, 1, 0, 0])
    project, loss = head(), MaskedCrossEntropy()

    def full(w: mx.array) -> LossSum:
        return loss(project(mx.tanh(x_BTD @ w)), targets_BT, mask_BT)

    def inside(w: mx.array, x: mx.array, index: mx.array, targets: mx.array, weights: mx.array) -> Any:
        h_ND = gather_supervised(mx.tanh(x @ w), index)
        return chunked_loss(loss, project, h_ND, gather_supervised(targets[..., None], index)[:, 0], weights, chunk=3)

    wrapped = {"plain": lambda fn: fn, "checkpoint": checkpoint, "mx.checkpoint": mx.checkpoint}[outer]
    fn = value_and_grad(lambda *args: tuple(wrapped(lambda *a: tuple(inside(*a)))(*args)))
    fn = mx.compile(fn) if compiled else fn
    w = 0.2 * mx.random.normal((D, D), key=mx.random.key(6))
    expected, grad = value_and_grad(full)(w)
    (total, count), dw = fn(w, x_BTD, index_N, targets_BT, weights_N)
    assert total.item() == pytest.approx(expected.total.item(), rel=1e-6)
    assert count.item() == 5
    assert relative(dw, grad) < 1e-6


@pytest.mark.parametrize("family", ["qwen3", "qwen3_moe", "llama", "gemma3_text", "phi3"])
def test_adapters_under_a_found_head_get_the_gradients_of_full_logits(family):
    """The fast path of a step against the plain one, on a model with LoRA on every projection."""
    model = tiny_model(family)
    attach_random(model)
    found = find_head(model)
    assert found is not None
    assert found.frozen
    ids_BT, loss = token_ids(2, 13), SMOOTHED
    inputs_BT, targets_BT = ids_BT[:, :-1], ids_BT[:, 1:]
    mask_BT = mx.random.bernoulli(0.4, targets_BT.shape, key=mx.random.key(8))
    index_N = mx.array(np.flatnonzero(np.array(mask_BT)))

    def plain() -> LossSum:
        return loss(model(inputs_BT), targets_BT, mask_BT)

    def fast() -> LossSum:
        h_ND = gather_supervised(found.hidden(inputs_BT), index_N)
        targets_N, weights_N = targets_BT.reshape(-1)[index_N], mx.ones(index_N.shape)
        return chunked_loss(loss, found.logits, h_ND, targets_N, weights_N, chunk=4)

    (expected, grads), (ours, our_grads) = nn.value_and_grad(model, plain)(), nn.value_and_grad(model, fast)()
    assert ours[0].item() == pytest.approx(expected[0].item(), rel=1e-6)
    assert ours[1].item() == expected[1].item() == index_N.size
    theirs = arrays(grads)
    assert theirs
    for name, grad in arrays(our_grads).items():
        assert relative(grad, theirs[name]) < 1e-5, name


def test_micro_batches_add_up_to_the_whole():
    h_ND, targets_N, weights_N = rows()
    project = head()
    w = mx.eye(D)

    def part(w: mx.array, at: slice) -> LossSum:
        return chunked_loss(CrossEntropy(), project, h_ND[at] @ w, targets_N[at], weights_N[at], chunk=4)

    step = value_and_grad(part)
    slices = [slice(0, 5), slice(5, N)]
    loss, grad = accumulate([step(w, slice(0, N))])
    parts = accumulate(step(w, at) for at in slices)
    assert parts.loss.mean.item() == pytest.approx(loss.mean.item(), rel=1e-6)
    assert relative(parts.grads, grad) < 1e-6

    def inside(w: mx.array) -> Part:
        first, second = (Part(LossSum(*loss), grads) for loss, grads in (step(w, at) for at in slices))
        return divide(add(first, second))

    compiled: Any = mx.compile(lambda w: inside(w).grads)
    assert relative(compiled(w), grad) < 1e-6


def test_validation_computes_no_gradient():
    """The head is called once a chunk and never differentiated; and still the loss is the same."""
    h_ND, targets_N, weights_N = rows()
    project = head()
    differentiated = []

    spy: Any = mx.custom_function(lambda logits: logits * 1)

    @spy.vjp
    def spied(_primal: mx.array, cotangent: mx.array, _output: mx.array) -> mx.array:
        differentiated.append(1)
        return cotangent

    def loss(backward: bool) -> LossSum:
        return chunked_loss(
            CrossEntropy(), lambda h: spy(project(h)), h_ND, targets_N, weights_N, chunk=8, backward=backward
        )

    forward = loss(False)
    assert not differentiated
    assert forward.total.item() == pytest.approx(loss(True).total.item(), rel=1e-6)
    assert len(differentiated) == 3


def test_the_forward_alone_can_be_differentiated_too():
    h_ND, targets_N, weights_N = rows()
    project = head()

    def grad(backward: bool) -> mx.array:
        return mx.grad(
            lambda h: chunked_loss(CrossEntropy(), project, h, targets_N, weights_N, chunk=8, backward=backward).total
        )(h_ND)

    assert relative(grad(False), grad(True)) < 1e-6


def peak(fn: Callable[..., Any], *args: mx.array) -> int:
    """Bytes above what is alive before, the second time round."""
    before = 0
    for _ in range(2):
        mx.eval(args)
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        mx.eval(fn(*args))
    return mx.get_peak_memory() - before


@pytest.mark.parametrize("compiled", [False, True])
def test_one_chunk_of_logits_is_alive(compiled):
    n, chunk, v = 512, 32, 32_000
    h_ND, targets_N, weights_N = rows(n, 16, v)
    project, loss = head(v, 16), CrossEntropy()

    def full(h: mx.array) -> LossSum:
        return loss(project(h), targets_N, weights_N)

    def chunked(h: mx.array) -> LossSum:
        return chunked_loss(loss, project, h, targets_N, weights_N, chunk=chunk)

    def validation(h: mx.array) -> LossSum:
        return chunked_loss(loss, project, h, targets_N, weights_N, chunk=chunk, backward=False)

    made = mx.compile if compiled else lambda fn: fn
    logits = 4 * chunk * v
    # Without back-pressure the CPU backend allocates well ahead of what it computes, and the peak says little.
    with limits(Memory(limit_gb=1e-6)):
        plain = peak(made(value_and_grad(full)), h_ND)
        ours = peak(made(value_and_grad(chunked)), h_ND)
        forward = peak(made(validation), h_ND)
    assert ours < 0.2 * plain  # measured: 64 and 3 chunks of logits, compiled 48 and 5
    assert ours < 8 * logits
    assert forward < 2 * logits  # one chunk, and no room for a gradient
