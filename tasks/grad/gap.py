"""Checks a gradient: reverse mode is compared with forward mode, or with differences of the function's values.

For random v and u the numbers <J v, u> and <v, J^T u> must agree: the left from forward mode or from differences of
the function's values, the right from reverse mode. It costs a few evaluations however many parameters there are.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import mlx.core as mx
import numpy as np

from tasks.grad.products import Arrays, as_list, jvp, vjp

Way = Literal["jvp", "differences"]


class Gap(NamedTuple):
    """The gap between two computations of a directional derivative.

    Attributes:
        gap: |left - right| / max(|left|, |right|) over all probes; 0 when both are 0, NaN when either is not finite.
        way: what the left side came from, forward mode or differences. Expect 1e-6 to 1e-4 of forward mode in
            float32 and 1e-6 to 1e-3 of differences; in bfloat16 neither says much.
    """

    gap: float
    way: Way


def adjoint_gap(fn: Callable[..., Any], primals: Sequence[mx.array], key: mx.array, *, probes: int = 3) -> Gap:
    """The relative gap between <J v, u> and <v, J^T u> for random v and u.

    Args:
        fn: takes the primals, returns an array or a sequence of arrays, all floating point.
        primals: floating-point arrays, best float32, e.g. the trained parameters.
        key: a key of MLX's random numbers; the same key gives the same directions.
        probes: pairs of directions; their errors are added in squares, so that one pair whose product happens to be
            near zero does not decide.

    Example:
        >>> adjoint_gap(mx.sin, [mx.array([1.0, 2.0])], mx.random.key(0)).way
        'jvp'
    """
    return _gap(directional, fn, primals, key, probes)


def difference_gap(fn: Callable[..., Any], primals: Sequence[mx.array], key: mx.array, *, probes: int = 3) -> Gap:
    """As `adjoint_gap`, with differences of the function's values on the left: it trusts no derivative rule of MLX.

    Example:
        >>> difference_gap(mx.sin, [mx.array([1.0, 2.0])], mx.random.key(0)).gap < 1e-3
        True
    """
    return _gap(lambda *a: (differences(*a), "differences"), fn, primals, key, probes)


def directional(fn: Callable[..., Any], primals: Arrays, tangents: Arrays) -> tuple[Arrays, Way]:
    """J v by forward mode, or by differences where an operation of `fn` has no forward mode; and which it was.

    MLX 0.32.4 has none for convolution, `gather_mm` (mixtures of experts), `scatter` and `depends`.
    """
    try:
        return jvp(fn, primals, tangents)[1], "jvp"
    except (ValueError, RuntimeError) as error:
        if "jvp" not in str(error).lower():
            raise
        return differences(fn, primals, tangents), "differences"


def differences(fn: Callable[..., Any], primals: Arrays, tangents: Arrays, step: float = 1e-2) -> Arrays:
    """J v from four values of `fn`: (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h, exact up to order h**4.

    `step` is h |v| relative to |primals| (to 1 if they are all zero): large for a difference, which the high order
    allows, so that float32 rounding, about 1e-7 / step of the values, stays small. On small random models 1e-2 left
    errors of 1e-6 to 7e-4; twice and half as much left up to 2e-3.
    """
    size = _norm(primals) or 1.0
    h = step * size / (_norm(tangents) or 1.0)

    def at(k: int) -> Arrays:
        moved = [p + (k * h * t.astype(mx.float32)).astype(p.dtype) for p, t in zip(primals, tangents, strict=True)]
        return [output.astype(mx.float32) for output in as_list(fn(*moved))]

    stencil = zip(at(-2), at(-1), at(1), at(2), strict=True)
    return [(8 * (b - a) - (bb - aa)) / (12 * h) for aa, a, b, bb in stencil]


def _gap(
    left_side: Callable[[Callable[..., Any], Arrays, Arrays], tuple[Arrays, Way]],
    fn: Callable[..., Any],
    primals: Sequence[mx.array],
    key: mx.array,
    probes: int,
) -> Gap:
    primals = list(primals)
    outputs = as_list(fn(*primals))
    error = scale = 0.0
    way: Way = "jvp"
    for probe in mx.random.split(key, probes):
        key_v, key_u = mx.random.split(probe)
        v, u = _normal_like(primals, key_v), _normal_like(outputs, key_u)
        forward, way = left_side(fn, primals, v)
        left, right = _dot(forward, u), _dot(v, vjp(fn, primals, u)[1])
        error += (left - right) ** 2
        scale += max(abs(left), abs(right)) ** 2
    return Gap(float(np.sqrt(error / scale)) if scale else 0.0, way)


def _normal_like(arrays: Arrays, key: mx.array) -> Arrays:
    keys = mx.random.split(key, len(arrays))
    return [mx.random.normal(a.shape, key=k).astype(a.dtype) for a, k in zip(arrays, keys, strict=True)]


def _dot(left: Arrays, right: Arrays) -> float:
    """The inner product, in float64: a float32 sum over a million entries would add its own gap."""
    return sum(float(np.vdot(_float64(a), _float64(b))) for a, b in zip(left, right, strict=True))


def _norm(arrays: Arrays) -> float:
    return float(np.sqrt(_dot(arrays, arrays)))


def _float64(array: mx.array) -> np.ndarray:
    return np.array(array.astype(mx.float32)).astype(np.float64)
