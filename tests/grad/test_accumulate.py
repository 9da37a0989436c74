from itertools import pairwise

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.grad import Part, accumulate, add, divide, value_and_grad
from tasks.loss import LossSum, masked_cross_entropy


def total(w, x, targets, mask):
    return masked_cross_entropy(x @ w["w"], targets, mask)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), cuts=st.lists(st.integers(1, 11), max_size=3, unique=True).map(sorted))
def test_micro_batches_equal_one_batch(seed, cuts):
    rng = np.random.default_rng(seed)
    w = {"w": mx.array(rng.normal(size=(5, 7)).astype(np.float32))}
    x, targets = mx.array(rng.normal(size=(12, 5)).astype(np.float32)), mx.array(rng.integers(0, 7, 12))
    mask = mx.array((rng.random(12) < 0.4).astype(np.float32))
    step = value_and_grad(total)
    whole_loss, whole = accumulate([step(w, x, targets, mask)])
    edges = [0, *cuts, 12]
    parts = (step(w, x[a:b], targets[a:b], mask[a:b]) for a, b in pairwise(edges))
    loss, grads = accumulate(parts)
    assert loss.count.item() == whole_loss.count.item()
    assert loss.mean.item() == pytest.approx(whole_loss.mean.item(), rel=1e-5)
    np.testing.assert_allclose(grads["w"], whole["w"], atol=1e-6)


def test_no_supervised_token_gives_zeros_not_nan():
    zero = (LossSum(mx.array(0.0), mx.array(0.0)), {"w": mx.zeros(2)})
    loss, grads = accumulate([zero, zero])
    assert (loss.mean.item(), grads["w"].tolist()) == (0.0, [0.0, 0.0])


def test_no_part_is_an_error():
    with pytest.raises(ValueError, match="no micro-batches"):
        accumulate([])


def test_half_precision_gradients_add_in_float32_and_come_back_as_they_were():
    one = LossSum(mx.array(1.0), mx.array(1.0))
    parts = [(one, [mx.array([256.0], mx.bfloat16)])] + [(one, [mx.array([1.0], mx.bfloat16)])] * 64
    _, grads = accumulate(parts)
    assert grads[0].dtype == mx.bfloat16
    assert grads[0].item() == mx.array(320 / 65).astype(mx.bfloat16).item()


def test_a_generator_is_read_one_part_at_a_time():
    seen = []

    def parts():
        for i in range(3):
            seen.append(i)
            yield LossSum(mx.array(float(i)), mx.array(2.0)), [mx.array([float(i)])]

    loss, grads = accumulate(parts())
    assert (seen, loss.total.item(), grads[0].item()) == ([0, 1, 2], 3.0, 0.5)


def test_add_and_divide_compile():
    part = Part(LossSum(mx.array(1.0), mx.array(2.0)), [mx.array([4.0])])
    loss, grads = mx.compile(lambda a, b: divide(add(Part(LossSum(*a[0]), a[1]), Part(LossSum(*b[0]), b[1]))))(
        part, part
    )
    assert (loss[1].item(), grads[0].item()) == (4.0, 2.0)
