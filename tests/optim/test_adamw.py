from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from tasks.grad import value_and_grad
from tasks.optim import OPTIMIZERS, AdamW
from tests.loss.golden import attach_lora, load_golden, loss_of, named_arrays, padded_batch

CONF = Path(__file__).resolve().parents[2] / "conf" / "optim" / "adamw.yaml"


def test_golden_trajectory(shared_data):
    golden = load_golden(shared_data)
    model = attach_lora(golden)
    expected = golden.expected["lora"]["loss_trajectory"]["bias_correction=True"]
    settings = {key: golden.expected["lora"]["adamw"][key] for key in ("lr", "betas", "eps", "weight_decay")}
    optimizer = AdamW.model_validate(settings).build()
    assert optimizer.bias_correction
    ids, mask = padded_batch(golden)
    parameters = named_arrays(model.trainable_parameters())
    loss_fn = loss_of(model)
    step = value_and_grad(lambda p, *batch: loss_fn(list(p.values()), *batch))
    losses = []
    for _ in range(len(expected)):
        loss, grads = step(parameters, ids, mask)
        losses.append(loss.mean.item())
        parameters = optimizer.apply_gradients({k: g / loss.count for k, g in grads.items()}, parameters)
        mx.eval(parameters, optimizer.state)
    assert losses == pytest.approx(expected, abs=2e-4)


def test_update_equals_the_paper_in_float64():
    config = AdamW(lr=0.05, weight_decay=0.1, betas=(0.8, 0.95), eps=1e-6)
    optimizer, w = config.build(), {"w": mx.array([1.0, -2.0])}
    exact, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for t in range(1, 8):
        grad = np.array([0.3 * t, -0.1])
        w = optimizer.apply_gradients({"w": mx.array(grad.astype(np.float32))}, w)
        m, v = 0.8 * m + 0.2 * grad, 0.95 * v + 0.05 * grad**2
        exact = exact - 0.05 * 0.1 * exact - 0.05 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-6)
    np.testing.assert_allclose(np.array(w["w"]), exact, rtol=1e-5)


def test_the_yaml_is_the_default():
    assert AdamW.model_validate(yaml.safe_load(CONF.read_text())) == AdamW()
    assert OPTIMIZERS["adamw"] is AdamW


def test_the_rate_is_set_each_step():
    config = AdamW(lr=1.0, warmup=2, schedule="linear")
    optimizer = config.build()
    optimizer.learning_rate = config.rate(0, 10)
    assert optimizer.learning_rate.item() == 0.5


@pytest.mark.parametrize(
    "bad",
    [
        {"lr": 0.0},
        {"lr": "1e-4"},
        {"learning_rate": 1e-3},
        {"betas": [0.9, 1.0]},
        {"betas": [0.9]},
        {"betas": ["0.9", 0.9]},
        {"warmup": 2.5},
        {"warmup": -1},
        {"min_lr": 2.0},
        {"lr_end": 0.0},
        {"clip_norm": 0.0},
        {"schedule": "step"},
    ],
)
def test_bad_values_are_refused(bad):
    with pytest.raises(ValidationError):
        AdamW.model_validate(bad)


def test_the_schedule_ends_at_a_share_of_lr_or_at_a_rate():
    share, absolute = AdamW(lr=1e-3, min_lr=0.1, warmup=0), AdamW(lr=1e-3, lr_end=1e-4, warmup=0)
    assert share.rate(10, 10) == pytest.approx(1e-4)
    assert [absolute.rate(s, 10) for s in range(11)] == pytest.approx([share.rate(s, 10) for s in range(11)])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            {"min_lr": 1e-5},
            "min_lr=1e-05 is a share of lr here, and the rate would end at 2e-09; a rate is lr_end=1e-05",
        ),
        ({"min_lr": 0.1, "lr_end": 1e-5}, r"min_lr=0.1 \(a share of lr\) and lr_end=1e-05 \(a rate\) both say"),
        ({"lr_end": 1e-3}, "lr_end=0.001 is above lr=0.0002; a share of lr is min_lr"),
    ],
)
def test_an_end_that_cannot_be_meant_is_said(bad, said):
    with pytest.raises(ValidationError, match=said):
        AdamW.model_validate(bad)
