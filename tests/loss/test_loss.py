from pathlib import Path
from typing import get_args

import mlx.core as mx
import pytest
import yaml

from tasks.loss import LOSSES, Loss


@pytest.mark.parametrize("kind", LOSSES)
def test_the_table_names_each_class_by_its_kind(kind):
    record = LOSSES[kind]
    assert get_args(record.model_fields["kind"].annotation) == (kind,)
    assert record().kind == kind


@pytest.mark.parametrize("kind", LOSSES)
def test_each_is_a_loss_of_any_leading_shape(kind):
    loss: Loss = LOSSES[kind]()
    logits = mx.random.normal((2, 3, 5), key=mx.random.key(0)).astype(mx.bfloat16)
    targets = mx.array([[0, 1, 2], [3, 4, 0]])
    flat = loss.per_token(logits.reshape(6, 5), targets.reshape(6))
    assert (flat.shape, flat.dtype) == ((6,), mx.float32)
    assert loss(logits, targets, mx.ones((2, 3))).total.item() == pytest.approx(flat.sum().item(), rel=1e-6)
    assert loss.supervised_only is (kind != "cross_entropy")


@pytest.mark.parametrize("kind", LOSSES)
def test_no_weight_is_zero_with_zero_gradient(kind):
    logits, targets = mx.ones((3, 4)), mx.array([0, 1, 2])
    loss, grad = mx.value_and_grad(lambda x: LOSSES[kind]()(x, targets, mx.zeros(3)))(logits)
    assert (loss.total.item(), loss.count.item(), loss.mean.item()) == (0, 0, 0)
    assert not grad.any().item()


@pytest.mark.parametrize("kind", LOSSES)
def test_each_yaml_is_its_default(kind):
    path = Path(__file__).resolve().parents[2] / "conf" / "loss" / f"{kind}.yaml"
    assert LOSSES[kind].model_validate(yaml.safe_load(path.read_text())) == LOSSES[kind]()
