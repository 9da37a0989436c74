from dataclasses import replace

import mlx.core as mx
import pytest

from tasks.check import Subject
from tasks.check.reload_logits import check
from tests.tiny import any_model


@pytest.mark.parametrize("options", [{}, {"quantize": 4}, {"dtype": "bfloat16"}], ids=str)
def test_on_the_machine_that_trained_the_difference_is_none(options, trained):
    finding = check(Subject(*trained("qwen3", **options)))
    assert finding.passed
    assert finding.detail.startswith("max |d| 0 over 48 tokens; ")


def test_another_strength_is_noticed(trained):
    subject = Subject(*trained())
    any_model(subject).layers[0].self_attn.q_proj.scale *= 1.01
    finding = check(subject)
    assert not finding.passed
    assert "max |d| 0 " not in finding.detail


def test_what_is_not_finite_fails(trained):
    subject = Subject(*trained())
    any_model(subject).layers[0].self_attn.q_proj.lora_b += mx.array(float("nan"))
    assert check(subject) == (False, check(subject).detail)
    assert "max |d| inf" in check(subject).detail


def test_without_recorded_logits_it_fails(damaged, trained):
    (damaged / "probe.safetensors").unlink()
    assert check(Subject(damaged, trained()[1])) == (
        False,
        "no logits were recorded with this adapter (probe.safetensors)",
    )


@pytest.mark.parametrize("columns", [1, 3])
def test_recorded_logits_of_another_width_fail(columns, trained):
    subject = Subject(*trained())
    probe = subject.probe
    assert probe is not None
    subject.probe = replace(probe, logits_TC=probe.logits_TC[:, :columns])
    assert check(subject) == (
        False,
        f"{columns} columns of logits were recorded, a probe of this model has {probe.logits_TC.shape[1]}",
    )
