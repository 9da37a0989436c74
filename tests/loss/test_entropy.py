"""The two cross entropies as configured are one loss: they differ in which tokens they count, and in their name."""

import mlx.core as mx
import pytest

from tasks.loss import CrossEntropy, MaskedCrossEntropy
from tasks.loss.entropy import Entropy
from tasks.loss.token_cross_entropy import token_cross_entropy


def test_they_differ_in_name_and_in_what_they_count():
    plain, masked = CrossEntropy(z_loss=0.5), MaskedCrossEntropy(z_loss=0.5)
    assert (plain.supervised_only, masked.supervised_only) == (False, True)
    assert list(plain.model_dump()) == list(masked.model_dump())
    assert {**plain.model_dump(), "kind": masked.kind} == masked.model_dump()


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.1, "z_loss": 1e-4}])
def test_the_settings_reach_the_loss(settings):
    logits, targets = mx.random.normal((2, 5, 7), key=mx.random.key(0)), mx.array([[1, 2, 3, 4, 5], [0, 6, 0, 6, 0]])
    weights = mx.array([[0.0, 1.0, 0.5, 1.0, 0.0], [1.0] * 5])
    loss = Entropy(**settings)
    per_token = token_cross_entropy(logits, targets, **settings)
    assert mx.array_equal(loss.per_token(logits, targets), per_token)
    total, count = loss(logits, targets, weights)
    assert total.item() == pytest.approx((per_token * weights).sum().item(), rel=1e-6)
    assert count.item() == 7.5
