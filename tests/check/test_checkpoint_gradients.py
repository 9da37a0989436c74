from contextlib import contextmanager

import mlx.core as mx
import pytest

from tasks.adapter import adapter_parameters
from tasks.check import Subject
from tasks.check import checkpoint_gradients as room
from tasks.check.checkpoint_gradients import check
from tests.tiny import same


@pytest.mark.parametrize("family", ["qwen3", "qwen3_moe", "gemma3_text"])
def test_on_and_off_agree(family, trained):
    finding = check(Subject(*trained(family)))
    assert finding.passed, finding.detail
    assert "gradients, 1e-05 allowed" in finding.detail


def patched(subject, monkeypatch, change):
    @contextmanager
    def blocks(layers):
        change(layers)
        yield

    monkeypatch.setattr(room, "checkpoint_blocks", blocks)
    return check(subject)


def test_a_recomputation_of_something_else_is_noticed_by_name(trained, monkeypatch):
    def change(layers):
        layers[0].self_attn.q_proj.scale *= 1.001

    finding = patched(Subject(*trained()), monkeypatch, change)
    assert not finding.passed
    assert " at model.layers." in finding.detail


def test_gradients_that_are_not_finite_are_noticed_wherever_they_are(trained, monkeypatch):
    """Layer 0's v_proj comes last by name, and the gradients of the layers above it stay finite."""

    def change(layers):
        layers[-1].self_attn.v_proj.scale = float("nan")

    finding = patched(Subject(*trained()), monkeypatch, change)
    assert not finding.passed
    assert "relative gap inf" in finding.detail


def test_the_parameters_are_left_as_they_were(trained):
    subject = Subject(*trained())
    before = {name: mx.array(array) for name, array in adapter_parameters(subject.model).items()}
    check(subject)
    assert all(same(array, before[name]) for name, array in adapter_parameters(subject.model).items())
