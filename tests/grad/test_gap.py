import mlx.core as mx
import pytest

from tasks.grad import adjoint_gap, checkpoint_blocks, difference_gap, differences, directional
from tests.grad.tiny import flat_parameters, logits_of, sample_ids, tiny_model

KEY = mx.random.key(3)


@mx.custom_function
def wrong(x):
    return mx.sin(x)


@wrong.vjp
def _(primals, cotangents, outputs):
    return cotangents * mx.cos(primals) * 1.01


def test_a_right_gradient_has_no_gap():
    x = [mx.random.normal((5,), key=KEY), mx.random.normal((5,), key=mx.random.key(4))]

    def fn(a, b):
        return [mx.sin(a) * b, (a * b).sum()]

    assert adjoint_gap(fn, x, KEY).gap < 1e-5
    assert difference_gap(fn, x, KEY).gap < 1e-4


def test_a_wrong_vjp_shows():
    x = [mx.random.normal((50,), key=KEY)]
    assert adjoint_gap(wrong, x, KEY).gap == pytest.approx(0.01, rel=0.05)
    assert difference_gap(wrong, x, KEY).gap == pytest.approx(0.01, rel=0.05)


def test_a_lost_gradient_shows():
    @mx.custom_function
    def lost(x):
        return mx.sin(x)

    @lost.vjp
    def _(primals, cotangents, outputs):
        return mx.zeros_like(primals)

    assert adjoint_gap(lost, [mx.array([1.0, 2.0])], KEY).gap == 1.0


def test_no_forward_mode_falls_back_to_differences_and_says_so():
    def convolve(x):
        return mx.conv1d(x[None, :, None], mx.array([[[1.0], [2.0], [3.0]]]))

    gap = adjoint_gap(convolve, [mx.random.normal((9,), key=KEY)], KEY)
    assert gap.way == "differences"
    assert gap.gap < 1e-4


def test_another_error_is_not_taken_for_a_missing_forward_mode():
    with pytest.raises(ValueError, match="matmul"):
        directional(lambda x: x @ mx.ones((5, 5)), [mx.ones((2, 2))], [mx.ones((2, 2))])


def test_differences_at_zero_and_of_half_precision():
    (at_zero,) = differences(mx.sin, [mx.zeros(3)], [mx.array([1.0, 2.0, 0.0])])
    assert at_zero.tolist() == pytest.approx([1.0, 2.0, 0.0], abs=1e-4)
    (half,) = differences(lambda x: 2 * x, [mx.ones(4, mx.bfloat16)], [mx.ones(4, mx.bfloat16)])
    assert half.tolist() == pytest.approx([2.0] * 4, rel=0.3)


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("model_type", ["qwen3", "gemma3_text", "llama"])
def test_real_models_have_forward_mode(model_type, quantized):
    model = tiny_model(model_type, quantized)
    fn, parameters = logits_of(model, sample_ids()), flat_parameters(model)
    forward = adjoint_gap(fn, parameters, KEY)
    assert forward.way == "jvp"
    assert forward.gap < 1e-4
    assert difference_gap(fn, parameters, KEY).gap < 3e-3


def test_checkpointed_blocks_pass_too():
    model = tiny_model()
    fn, parameters = logits_of(model, sample_ids()), flat_parameters(model)
    with checkpoint_blocks(model.layers):
        gap = adjoint_gap(fn, parameters, KEY)
    assert gap.gap < 1e-4
