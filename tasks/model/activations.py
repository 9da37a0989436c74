"""Activations that keep their inputs alone: what lies between is made again in the backward pass.

Autograd keeps every step of an elementwise chain, such as the sigmoid and both products of a gated unit: at the width
of the MLP, a fifth of what a block of Qwen3-0.6B keeps. A compiled step makes them again in the kernel that uses them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models import activations

Function = Callable[..., mx.array]


class Made(NamedTuple):
    """How an array was made: `function(*inputs)`."""

    function: Callable[..., mx.array]
    inputs: tuple[mx.array, ...]


ALONE = ("silu", "gelu", "gelu_approx")
"""Functions of one array in `mlx.nn`, which models call by that name."""
_latest: tuple[mx.array, Made] | None = None  # the last gated unit's output; models hand it to their next projection


@contextmanager
def lean_activations(lean: bool | None = None) -> Iterator[None]:
    """Within the block, mlx-lm's models keep less for the backward pass; values are the same to the bit.

    Keep it around the whole step, as checkpointed blocks run again in its backward.

    Args:
        lean: whether to; None does on a GPU. On a CPU, where nothing is fused, it takes 9 % of the starter model's
            memory and adds 5 % to the time of its step.

    Example:
        >>> before = nn.silu
        >>> with lean_activations(True):
        ...     nn.silu is before
        False
        >>> nn.silu is before
        True
    """
    if lean is False or (lean is None and mx.default_device() == mx.cpu):
        yield
        return
    swaps: list[tuple[Any, str, Function, Function]] = [
        (nn, name, getattr(nn, name), _recomputed(getattr(nn, name))) for name in ALONE
    ]
    gated = activations.swiglu
    for name, module in list(sys.modules.items()):
        if name.startswith("mlx_lm.models.") and getattr(module, "swiglu", None) is gated:
            swaps.append((module, "swiglu", gated, _noted))
    global _latest
    try:
        for place, name, _, ours in swaps:
            setattr(place, name, ours)
        yield
    finally:
        _latest = None
        for place, name, stock, _ in swaps:
            setattr(place, name, stock)


def made_of(x: mx.array) -> Made:
    """What a projection should keep in the place of its input: what the input was made of, if that is kept anyway.

    Example:
        >>> made = made_of(mx.array(2.0))
        >>> made.function(*made.inputs).item()
        2.0
    """
    if _latest is not None and _latest[0] is x:
        return _latest[1]
    return Made(same, (x,))


def same(x: mx.array) -> mx.array:
    """x."""
    return x


def _noted(gate: mx.array, x: mx.array) -> mx.array:
    global _latest
    made = swiglu(gate, x)
    _latest = made, Made(swiglu, (gate, x))
    return made


def swiglu(gate: mx.array, x: mx.array) -> mx.array:
    """silu(gate) * x, elementwise, of two arrays of one shape, which are all that the backward keeps.

    Its gradient is computed in float32 and given in the dtype of the inputs.

    Example:
        >>> mx.grad(lambda gate: swiglu(gate, mx.array(2.0)))(mx.array(0.0)).item()
        1.0
    """
    function: Any = mx.custom_function(lambda gate, x: gate * mx.sigmoid(gate) * x)

    @function.vjp
    def backward(primals: Any, cotangent: mx.array, _output: mx.array) -> list[mx.array]:
        dtypes = [array.dtype for array in primals]
        gate, x = (array.astype(mx.float32) for array in mx.depends(list(primals), [cotangent]))
        share = mx.sigmoid(gate)
        silu, arrived = gate * share, cotangent.astype(mx.float32)
        found = arrived * x * (share + silu * (1 - share)), arrived * silu
        return [grad.astype(dtype) for grad, dtype in zip(found, dtypes, strict=True)]

    return function(gate, x)


def _recomputed(stock: Function) -> Function:
    def call(x: mx.array) -> mx.array:
        function: Any = mx.custom_function(lambda x: stock(x))

        @function.vjp
        def backward(x: mx.array, cotangent: mx.array, _output: mx.array) -> mx.array:
            return mx.vjp(stock, mx.depends([x], [cotangent]), [cotangent])[1][0]

        return function(x)

    return call
