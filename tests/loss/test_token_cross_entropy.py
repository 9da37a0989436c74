import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.loss.token_cross_entropy import token_cross_entropy


def reference(logits, targets, smoothing=0.0, z=0.0):
    logits = np.asarray(logits, np.float64)
    top = logits.max(-1, keepdims=True)
    lse = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
    log_p = logits - lse[..., None]
    q = np.full_like(logits, smoothing / logits.shape[-1])
    np.put_along_axis(q, targets[..., None], 1 - smoothing + smoothing / logits.shape[-1], -1)
    return -(q * log_p).sum(-1) + z * lse**2


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
    z=st.sampled_from([0.0, 1e-4, 0.5]),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
)
def test_equals_float64(seed, smoothing, z, scale):
    rng = np.random.default_rng(seed)
    logits, targets = rng.normal(size=(2, 3, 11)).astype(np.float32) * scale, rng.integers(0, 11, (2, 3))
    ours = token_cross_entropy(mx.array(logits), mx.array(targets), label_smoothing=smoothing, z_loss=z)
    np.testing.assert_allclose(np.array(ours), reference(logits, targets, smoothing, z), rtol=2e-6, atol=2e-5)


def test_gradient_equals_the_formula():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(4, 7)).astype(np.float32), rng.integers(0, 7, 4)
    grad = mx.grad(lambda x: token_cross_entropy(x, mx.array(targets), label_smoothing=0.2).sum())(mx.array(logits))
    p = np.exp(logits - reference(logits, targets * 0)[..., None] - logits[:, :1])  # reference + l_0 = logsumexp
    q = np.full((4, 7), 0.2 / 7)
    q[np.arange(4), targets] += 0.8
    np.testing.assert_allclose(np.array(grad), p - q, atol=1e-6)


@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16])
def test_half_precision_logits_are_summed_in_float32(dtype):
    logits = mx.random.normal((3, 5000), key=mx.random.key(0)).astype(dtype)
    targets = mx.array([0, 1, 4999])
    ours = token_cross_entropy(logits, targets)
    assert ours.dtype == mx.float32
    exact = reference(np.array(logits.astype(mx.float32)), np.array(targets))
    np.testing.assert_allclose(np.array(ours), exact, rtol=1e-5)


def test_huge_logits_do_not_overflow():
    loss = token_cross_entropy(mx.array([[1e30, 0.0], [-1e30, 0.0]]), mx.array([0, 1]))
    assert loss.tolist() == [0.0, 0.0]


def test_words_of_no_probability_are_allowed():
    assert token_cross_entropy(mx.array([[0.0, 0.0, -float("inf")]]), mx.array([1])).item() == pytest.approx(np.log(2))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"targets are \(3,\), the logits \(2, 5\)"):
        token_cross_entropy(mx.zeros((2, 5)), mx.zeros(3, mx.int32))
    with pytest.raises(ValueError, match="float32; they must be token ids"):
        token_cross_entropy(mx.zeros((2, 5)), mx.zeros(2))
