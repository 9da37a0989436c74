"""Products with the Jacobian J of a function, without building it: v -> J v (jvp) and u -> J^T u (vjp).

MLX pairs cotangents with outputs by position and is silent where their number or dtype differs; here both are named.
"""

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from tasks.grad.value_and_grad import check_differentiable

Arrays = list[mx.array]


def vjp(fn: Callable[..., Any], primals: Sequence[mx.array], cotangents: Sequence[mx.array]) -> tuple[Arrays, Arrays]:
    """The outputs of `fn(*primals)` and the vector-Jacobian products, reverse mode.

    Args:
        fn: takes the primals, returns an array or a sequence of arrays.
        primals: floating-point arrays; `fn` is differentiated with respect to each.
        cotangents: one for each output, of its shape and dtype.

    Returns:
        (outputs, one product for each primal, of its shape and dtype).

    Raises:
        ValueError: the number, a shape or a dtype of the cotangents is not that of the outputs.
        TypeError: a primal is not a floating-point array.

    Example:
        >>> vjp(lambda x, y: x * y, [mx.array(2.0), mx.array(3.0)], [mx.array(1.0)])[1]
        [array(3, dtype=float32), array(2, dtype=float32)]
    """
    check_differentiable(list(primals), "primals")

    def checked(*arrays: mx.array) -> Arrays:
        outputs = as_list(fn(*arrays))
        check_alike("cotangent", list(cotangents), "output", outputs)
        return outputs

    outputs, products = mx.vjp(checked, list(primals), list(cotangents))
    return list(outputs), list(products)


def jvp(fn: Callable[..., Any], primals: Sequence[mx.array], tangents: Sequence[mx.array]) -> tuple[Arrays, Arrays]:
    """The outputs of `fn(*primals)` and the Jacobian-vector products, forward mode.

    Args:
        fn: takes the primals, returns an array or a sequence of arrays.
        primals: floating-point arrays.
        tangents: one for each primal, of its shape and dtype: the direction.

    Returns:
        (outputs, one product for each output, of its shape).

    Raises:
        ValueError: the number, a shape or a dtype of the tangents is not that of the primals; or, from MLX, an
            operation has no forward mode (convolution, `gather_mm`, `scatter`): see `check.directional`.
        TypeError: a primal is not a floating-point array.

    Example:
        >>> jvp(lambda x: x.square(), [mx.array([1.0, 2.0])], [mx.array([1.0, 0.0])])[1]
        [array([2, 0], dtype=float32)]
    """
    check_differentiable(list(primals), "primals")
    check_alike("tangent", list(tangents), "primal", list(primals))
    outputs, products = mx.jvp(lambda *arrays: as_list(fn(*arrays)), list(primals), list(tangents))
    return list(outputs), list(products)


def as_list(value: Any) -> Arrays:
    """One array or a sequence of arrays as a list."""
    return [value] if isinstance(value, mx.array) else list(value)


def check_alike(given: str, arrays: Arrays, wanted: str, models: Arrays) -> None:
    """Raises ValueError unless both lists agree in length, and each pair in shape and dtype."""
    if len(arrays) != len(models):
        raise ValueError(f"{len(arrays)} {given}s for {len(models)} {wanted}s; give one for each")
    for i, (array, model) in enumerate(zip(arrays, models, strict=True)):
        if array.shape != model.shape or array.dtype != model.dtype:
            raise ValueError(
                f"{given} {i} is {array.dtype} {array.shape}, {wanted} {i} is {model.dtype} {model.shape}; "
                "they must be alike"
            )
