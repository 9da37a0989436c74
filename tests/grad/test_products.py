import mlx.core as mx
import numpy as np
import pytest

from tasks.grad import jvp, vjp


def both(x, y):
    return [x * y, (x @ y)]


X, Y = mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([[0.5, -1.0], [2.0, 1.0]])


def test_vjp_equals_the_formula():
    u, w = mx.array([[1.0, 0.0], [2.0, 1.0]]), mx.array([[0.0, 1.0], [1.0, -1.0]])
    outputs, (gx, gy) = vjp(both, [X, Y], [u, w])
    np.testing.assert_allclose(outputs[1], np.array(X) @ np.array(Y))
    np.testing.assert_allclose(gx, np.array(u * Y) + np.array(w) @ np.array(Y).T)
    np.testing.assert_allclose(gy, np.array(u * X) + np.array(X).T @ np.array(w))


def test_jvp_equals_the_formula():
    v, w = mx.array([[1.0, 0.0], [2.0, 1.0]]), mx.array([[0.0, 1.0], [1.0, -1.0]])
    _, (first, second) = jvp(both, [X, Y], [v, w])
    np.testing.assert_allclose(first, np.array(v * Y + X * w))
    np.testing.assert_allclose(second, np.array(v) @ np.array(Y) + np.array(X) @ np.array(w))


def test_hessian_vector_product():
    def gradient(x):
        return mx.grad(lambda z: (z**3).sum())(x)

    assert jvp(gradient, [mx.array([1.0, 2.0])], [mx.array([1.0, 1.0])])[1][0].tolist() == [6.0, 12.0]


@pytest.mark.parametrize(
    ("cotangents", "message"),
    [
        ([mx.ones((2, 2))], "1 cotangents for 2 outputs"),
        ([mx.ones((2, 2))] * 3, "3 cotangents for 2 outputs"),
        (
            [mx.ones((2, 2)), mx.ones(2)],
            r"cotangent 1 is mlx.core.float32 \(2,\), output 1 is mlx.core.float32 \(2, 2\)",
        ),
        ([mx.ones((2, 2)), mx.ones((2, 2), mx.bfloat16)], "cotangent 1 is mlx.core.bfloat16"),
    ],
)
def test_cotangents_that_do_not_fit_are_named(cotangents, message):
    with pytest.raises(ValueError, match=message):
        vjp(both, [X, Y], cotangents)


def test_tangents_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="1 tangents for 2 primals"):
        jvp(both, [X, Y], [X])
    with pytest.raises(ValueError, match=r"tangent 1 is mlx.core.float32 \(2,\)"):
        jvp(both, [X, Y], [X, mx.ones(2)])


def test_integer_primals_are_refused():
    with pytest.raises(TypeError, match=r"primals\[0\] is an array of mlx.core.int32"):
        vjp(lambda x: x, [mx.array([1])], [mx.array([1])])
    with pytest.raises(TypeError, match=r"primals\[0\] is an array of mlx.core.int32"):
        jvp(lambda x: x, [mx.array([1])], [mx.array([1])])
