import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.loss import LOSSES, MaskedCrossEntropy, cross_entropy, masked_cross_entropy
from tests.loss.golden import load_golden, padded_batch


def sample(seed, n=12, v=9):
    rng = np.random.default_rng(seed)
    return (mx.array(rng.normal(size=(n, v)).astype(np.float32)), mx.array(rng.integers(0, v, n)), rng.random(n) < 0.6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_masked_equals_filtered(seed):
    logits, targets, keep = sample(seed)
    rows = mx.array(np.flatnonzero(keep).astype(np.int32))
    masked = masked_cross_entropy(logits, targets, mx.array(keep.tolist()))
    if not keep.any():
        assert (masked.total.item(), masked.count.item()) == (0, 0)
        return
    filtered = cross_entropy(logits[rows], targets[rows])
    assert masked.total.item() == pytest.approx(filtered.total.item(), rel=1e-5)
    assert masked.count.item() == filtered.count.item()


@pytest.mark.parametrize("kind", LOSSES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), cut=st.integers(1, 11))
def test_chunked_sums_equal_the_whole(kind, seed, cut):
    loss = LOSSES[kind]()
    logits, targets, keep = sample(seed)
    weights = mx.array(keep.astype(np.float32) * 0.5)
    whole = loss(logits, targets, weights)
    parts = loss(logits[:cut], targets[:cut], weights[:cut]).add(loss(logits[cut:], targets[cut:], weights[cut:]))
    assert parts.total.item() == pytest.approx(whole.total.item(), rel=1e-5, abs=1e-6)
    assert parts.count.item() == whole.count.item()


def test_real_weights_count_as_they_are():
    loss = MaskedCrossEntropy()(mx.zeros((2, 4)), mx.array([1, 2]), mx.array([0.5, 0.25]))
    assert loss.count.item() == 0.75
    assert loss.mean.item() == pytest.approx(np.log(4))


def test_padding_does_not_count_in_the_golden_batch(shared_data):
    golden = load_golden(shared_data)
    ids, mask = padded_batch(golden)
    loss = masked_cross_entropy(golden.model(ids[:, :-1]), ids[:, 1:], mask)
    assert loss.count.item() == golden.expected["lora"]["n_targets"]
    assert loss.total.item() == pytest.approx(sum(r["nll_sum_f64"] for r in golden.expected["rows"][:4]), rel=1e-6)


def test_masked_rows_get_no_gradient():
    logits, targets, keep = sample(3)
    grad = mx.grad(lambda x: masked_cross_entropy(x, targets, mx.array(keep.tolist())).total)(logits)
    assert not np.array(grad)[~keep].any()
    assert np.array(grad)[keep].any(axis=1).all()
