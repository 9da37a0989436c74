import mlx.core as mx
import numpy as np
import pytest

from tasks.loss import MSE, mse


def test_pure_mse_equals_numpy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    loss = mse(mx.array(a), mx.array(b))
    assert loss.mean.item() == pytest.approx(((a.astype(np.float64) - b) ** 2).mean(), rel=1e-6)
    assert loss.count.item() == 12
    assert loss.total.dtype == loss.count.dtype == mx.float32


def test_pure_mse_of_half_precision_is_in_float32():
    loss = mse(mx.full((4096,), 0.1, mx.bfloat16), mx.zeros((4096,), mx.bfloat16))
    assert loss.total.dtype == mx.float32
    assert loss.mean.item() == pytest.approx(0.10009765625**2, rel=1e-4)  # in bfloat16 the sum would stall


def test_pure_mse_does_not_broadcast():
    with pytest.raises(ValueError, match="must be alike"):
        mse(mx.zeros((3, 1)), mx.zeros(3))


def test_brier_equals_the_distance_from_a_one_hot():
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(size=(6, 10)).astype(np.float32) * 3, rng.integers(0, 10, 6)
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(-1, keepdims=True)
    exact = ((p - np.eye(10)[targets]) ** 2).sum(-1)
    np.testing.assert_allclose(np.array(MSE().per_token(mx.array(logits), mx.array(targets))), exact, atol=5e-7)


def test_brier_gradient_agrees_with_differences_in_float64():
    rng = np.random.default_rng(2)
    logits, targets = rng.normal(size=(2, 5)).astype(np.float32), np.array([1, 4])

    def exact(x):
        p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        return ((p - np.eye(5)[targets]) ** 2).sum()

    grad = np.array(mx.grad(lambda x: MSE()(x, mx.array(targets), mx.ones(2)).total)(mx.array(logits)))
    for index in np.ndindex(2, 5):
        step = np.zeros((2, 5))
        step[index] = 1e-5
        assert grad[index] == pytest.approx((exact(logits + step) - exact(logits - step)) / 2e-5, abs=1e-6)


def test_brier_is_bounded_and_zero_when_certain():
    losses = MSE().per_token(mx.array([[100.0, 0.0], [100.0, 0.0]]), mx.array([0, 1]))
    assert losses.tolist() == pytest.approx([0.0, 2.0], abs=1e-6)
