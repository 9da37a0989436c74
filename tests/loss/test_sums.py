import math

import mlx.core as mx
import pytest

from tasks.loss import LossSum, weighted_sum


def test_no_weight_is_zero_and_never_nan():
    loss = weighted_sum(mx.array([1.0, math.inf, math.nan]), mx.zeros(3))
    assert (loss.total.item(), loss.count.item(), loss.mean.item()) == (0.0, 0.0, 0.0)


def test_the_gradient_of_a_mean_over_nothing_is_zero():
    grad = mx.grad(lambda x: weighted_sum(x, mx.zeros(2)).mean)(mx.array([1.0, 2.0]))
    assert grad.tolist() == [0.0, 0.0]


def test_sums_add():
    both = LossSum(mx.array(3.0), mx.array(2.0)).add(LossSum(mx.array(1.0), mx.array(6.0)))
    assert both.mean.item() == 0.5


@pytest.mark.parametrize("weights", [mx.array([True, False, True]), mx.array([1, 0, 1]), mx.array([1, 0, 1.0])])
def test_bool_and_integer_weights(weights):
    loss = weighted_sum(mx.array([1.0, 2.0, 4.0]), weights)
    assert loss.total.item() == 5
    assert loss.total.dtype == loss.count.dtype == mx.float32


def test_shapes_are_not_broadcast():
    with pytest.raises(ValueError, match=r"weights are \(3, 1\), the losses \(3,\)"):
        weighted_sum(mx.ones(3), mx.ones((3, 1)))
