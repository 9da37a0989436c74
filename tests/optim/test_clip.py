import math

import mlx.core as mx
import pytest

from tasks.optim import clip, global_norm


def test_a_small_gradient_is_untouched():
    grads = {"a": mx.array([0.3]), "b": [mx.array([0.4])]}
    clipped, norm = clip(grads, 1.0)
    assert norm.item() == pytest.approx(0.5)
    assert clipped["a"].item() == grads["a"].item()


def test_a_large_one_keeps_its_direction_and_dtype():
    clipped, norm = clip({"a": mx.array([3.0], mx.bfloat16), "b": {"c": mx.array([4.0])}}, 2.5)
    assert norm.item() == 5.0
    assert (clipped["a"].item(), clipped["b"]["c"].item()) == (1.5, 2.0)
    assert clipped["a"].dtype == mx.bfloat16


def test_none_measures_only():
    grads = {"a": mx.array([30.0, 40.0])}
    clipped, norm = clip(grads, None)
    assert clipped is grads
    assert norm.item() == 50.0


def test_the_norm_does_not_overflow_before_the_gradient_does():
    assert global_norm([mx.full((4,), 6e4, mx.float16)]).item() == pytest.approx(2 * 5.9968e4, rel=1e-3)
    assert global_norm([mx.array([3e30]), mx.array([4e30])]).item() == pytest.approx(5e30)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_shows_in_the_norm(bad):
    _, norm = clip({"a": mx.array([1.0, bad]), "b": mx.array([2.0])}, 1.0)
    assert not math.isfinite(float(norm))


def test_no_gradients_have_norm_zero():
    assert global_norm({}).item() == 0
    assert clip({"a": mx.zeros(3)}, 1.0)[0]["a"].tolist() == [0, 0, 0]


def test_compiles():
    clipped, norm = mx.compile(lambda g: clip(g, 1.0))({"a": mx.array([3.0, 4.0])})
    assert norm.item() == 5.0
    assert clipped["a"].tolist() == pytest.approx([0.6, 0.8])
