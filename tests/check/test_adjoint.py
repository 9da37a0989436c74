import mlx.core as mx
import mlx.nn as nn
import pytest

from tasks.adapter import adapter_parameters
from tasks.check import Subject
from tasks.check.adjoint import check
from tests.tiny import any_model, same


@pytest.mark.parametrize(("family", "way"), [("qwen3", "forward mode"), ("qwen3_moe", "differences")])
def test_reverse_mode_agrees(family, way, trained):
    finding = check(Subject(*trained(family)))
    assert finding.passed
    assert f"against {way}, " in finding.detail


ROUNDED = {
    "bfloat16": {"dtype": "bfloat16"},
    "4 bits of bfloat16": {"dtype": "bfloat16", "bits": 4},
    "float16": {"dtype": "float16"},
}


@pytest.mark.parametrize("name", ROUNDED)
def test_a_base_that_rounds_is_held_to_no_less(name, trained):
    finding = check(Subject(*trained("qwen3", **ROUNDED[name])))
    assert finding.passed, finding.detail
    assert "0.001 allowed" in finding.detail


@pytest.mark.parametrize("options", [{}, ROUNDED["bfloat16"]], ids=["float32", "bfloat16"])
def test_a_gradient_that_is_a_little_wrong_is_noticed(options, trained):
    @mx.custom_function
    def wrong(x):
        return 1 * x

    @wrong.vjp
    def _(x, cotangent, _output):
        return 1.05 * cotangent

    @wrong.jvp
    def _(x, tangent):
        return tangent

    subject = Subject(*trained("qwen3", **options))
    layer = any_model(subject).layers[2].self_attn.o_proj
    layer.linear = Wrong(layer.linear, wrong)
    finding = check(subject)
    assert not finding.passed, finding.detail


def test_a_bound_that_a_difference_crosses_is_held(trained):
    subject = Subject(*trained("qwen3_moe"))
    layer = any_model(subject).layers[1].self_attn.o_proj
    layer.linear = Wrong(layer.linear, lambda x: mx.where(x > 0, x + 1, x))  # as Phi's router has one
    finding = check(subject)
    assert finding.passed, finding.detail
    assert "against differences, " in finding.detail


class Wrong:
    """The layer beneath, what it gives made into something else."""

    def __init__(self, linear, wrong):
        self._linear, self._wrong = linear, wrong

    def __call__(self, x):
        return self._wrong(self._linear(x))


def test_the_parameters_are_left_as_they_were(trained):
    subject = Subject(*trained())
    before = {name: mx.array(array) for name, array in adapter_parameters(subject.model).items()}
    check(subject)
    assert all(same(array, before[name]) for name, array in adapter_parameters(subject.model).items())


def test_what_the_check_swaps_is_put_back(trained):
    before = mx.argpartition
    embed = nn.Embedding.__call__
    check(Subject(*trained("qwen3_moe")))
    assert mx.argpartition is before
    assert nn.Embedding.__call__ is embed
