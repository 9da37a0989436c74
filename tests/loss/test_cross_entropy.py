import mlx.core as mx
import pytest
from pydantic import ValidationError

from tasks.loss import CrossEntropy, cross_entropy
from tests.loss.golden import load_golden


def test_golden_rows(shared_data):
    golden = load_golden(shared_data)
    total = targets = 0.0
    for row, expected in zip(golden.rows, golden.expected["rows"], strict=True):
        assert (len(row), row[:8]) == (expected["n_tokens"], expected["first_ids"])
        ids = mx.array([row])
        loss = cross_entropy(golden.model(ids[:, :-1]), ids[:, 1:])
        assert loss.total.item() == pytest.approx(expected["nll_sum_f64"], rel=1e-6)
        assert loss.count.item() == expected["n_targets"]
        total, targets = total + loss.total.item(), targets + loss.count.item()
    assert total / targets == pytest.approx(golden.expected["token_mean"], abs=1e-6)


def test_every_real_token_counts():
    logits, targets = mx.zeros((1, 4, 8)), mx.zeros((1, 4), mx.int32)
    loss = CrossEntropy()(logits, targets, mx.array([[1, 1, 1, 0]]))
    assert not CrossEntropy.supervised_only
    assert loss.count.item() == 3
    assert loss.mean.item() == pytest.approx(cross_entropy(logits, targets).mean.item())


@pytest.mark.parametrize("bad", [{"label_smoothing": 1.0}, {"label_smoothing": -0.1}, {"z_loss": -1.0}, {"smooth": 0}])
def test_out_of_range_or_unknown_is_refused(bad):
    with pytest.raises(ValidationError):
        CrossEntropy.model_validate(bad)
