from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tasks.grad import checkpoint, jvp, value_and_grad
from tasks.memory import Memory, limits


class Out(NamedTuple):
    h: mx.array
    extra: object


def layer(x, params, ids, *, key, mask=None, flag=True):
    """Takes a bit of everything: nested parameters, integers, a PRNG key, a bool mask, a flag and None."""
    h = mx.tanh(x @ params["w"] + params["b"][0]) + params["table"][ids]
    h = mx.where(mx.random.bernoulli(0.5, h.shape, key=key), h / 0.5, 0.0) if flag else h
    if mask is not None:
        h = mx.where(mask, h, 0.0)
    return Out(h, {"count": ids.sum(), "none": None, "twice": (2 * h, 3)})


def arguments():
    k = mx.random.split(mx.random.key(1), 5)
    params = {
        "w": mx.random.normal((4, 4), key=k[0]),
        "b": [mx.random.normal((4,), key=k[1])],
        "table": mx.random.normal((6, 4), key=k[2]),
    }
    return mx.random.normal((3, 4), key=k[3]), params, mx.array([5, 0, 5]), k[4]


def loss_with(fn):
    def loss(x, params, ids, key, mask=None):
        out = fn(x, params, ids, key=key, mask=mask)
        assert out.extra["none"] is None
        assert out.extra["twice"][1] == 3
        return (out.h**2).sum() + out.extra["twice"][0].sum(), out.extra["count"]

    return loss


@pytest.mark.parametrize(
    ("compiled", "mask"), [(False, None), (False, mx.array([[True], [False], [True]])), (True, None)]
)
def test_same_values_and_gradients(compiled, mask):
    x, params, ids, key = arguments()
    plain = value_and_grad(loss_with(layer), [0, 1])
    ours = value_and_grad(loss_with(checkpoint(layer)), [0, 1])
    if compiled:
        ours = mx.compile(ours)
    (expected, count), (gx, gp) = plain(x, params, ids, key, mask)
    for _ in range(2):
        (value, our_count), (ox, op) = ours(x, params, ids, key, mask)
        assert value.item() == pytest.approx(expected.item(), rel=1e-6)
        assert our_count.item() == count.item() == 10
        np.testing.assert_allclose(ox, gx, atol=1e-6)
        for ours_g, plain_g in zip([op["w"], op["b"][0], op["table"]], [gp["w"], gp["b"][0], gp["table"]], strict=True):
            np.testing.assert_allclose(ours_g, plain_g, atol=1e-6)


def test_gradients_do_not_shift_around_constants():
    fn = checkpoint(lambda i, a, flag, b, key: (a[i] * 2).sum() + (b * 3).sum())
    args = (mx.array([0, 1]), mx.ones(3), None, mx.ones(2), mx.random.key(0))
    ga, gb = mx.grad(fn, argnums=[1, 3])(*args)
    assert (ga.tolist(), gb.tolist()) == ([2, 2, 0], [3, 3])


def test_an_unused_argument_gets_zeros():
    ga, gb = mx.grad(checkpoint(lambda a, b: (a * 2).sum()), argnums=[0, 1])(mx.ones(2), mx.ones(3))
    assert (ga.tolist(), gb.tolist()) == ([2, 2], [0, 0, 0])


def test_an_output_that_nothing_depends_on_costs_no_gradient():
    grad = mx.grad(lambda x: checkpoint(lambda y: (y * 2, mx.argmax(y), y**2))(x)[0].sum())(mx.ones(2))
    assert grad.tolist() == [2, 2]


def test_constants_get_no_gradient_by_position_or_name():
    def fn(a, b, c):
        return (a * b * c).sum()

    call = checkpoint(fn, constants={1, "c"})
    grads = mx.grad(lambda a, b, c: call(a, b, c=c), argnums=[0, 1, 2])(mx.array(2.0), mx.array(3.0), mx.array(5.0))
    assert [g.item() for g in grads] == [15.0, 0.0, 0.0]


def test_captured_arrays_get_none_as_documented():
    w = mx.array(3.0)
    assert mx.grad(lambda w: checkpoint(lambda x: x * w)(mx.array(2.0)))(w).item() == 0.0


def test_a_module_is_refused_rather_than_left_without_gradient():
    linear = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="Linear has trainable parameters"):
        checkpoint(linear)
    with pytest.raises(TypeError, match="use checkpoint_blocks"):
        checkpoint(linear.__call__)
    linear.freeze()
    assert checkpoint(linear)(mx.ones((1, 2))).shape == (1, 2)


def test_forward_recomputes_once_in_the_backward_pass():
    calls = []

    def fn(x):
        calls.append(1)
        return x * 2

    mx.eval(checkpoint(fn)(mx.ones(2)))
    assert len(calls) == 1
    mx.eval(mx.grad(lambda x: checkpoint(fn)(x).sum())(mx.ones(2)))
    assert len(calls) == 3


def test_forward_mode_and_nesting_work():
    fn = checkpoint(lambda x: checkpoint(mx.sin)(x) * 2)
    x = mx.array([0.3, 0.7])
    np.testing.assert_allclose(mx.grad(lambda x: fn(x).sum())(x), 2 * np.cos(np.array(x)), rtol=1e-6)
    np.testing.assert_allclose(jvp(fn, [x], [mx.ones(2)])[1][0], 2 * np.cos(np.array(x)), rtol=1e-6)


def test_half_precision_gradients_keep_their_dtype():
    grad = mx.grad(lambda x: checkpoint(mx.sin)(x).sum())(mx.ones(3, mx.bfloat16))
    assert grad.dtype == mx.bfloat16


def test_it_takes_less_memory():
    width, depth = 64, 12
    ws = [mx.random.normal((width, 4 * width), key=mx.random.key(i)) * 0.05 for i in range(depth)]
    x = mx.random.normal((256, width), key=mx.random.key(99))

    def block(x, w):
        return x + mx.tanh(mx.tanh(mx.tanh(x @ w))) @ w.T

    def peak(fn):
        def loss(ws, x):
            for w in ws:
                x = fn(x, w)
            return x.square().mean()

        mx.eval(ws, x)
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        mx.eval(value_and_grad(loss)(ws, x))
        return mx.get_peak_memory() - before

    # Without back-pressure the CPU backend allocates well ahead of what it computes, and the peak says little.
    with limits(Memory(limit_gb=1e-6)):
        assert peak(checkpoint(block)) < 0.7 * peak(block)
