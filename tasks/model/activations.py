"""Activations for training: on a GPU they keep only their inputs, and the backward pass computes the rest again.

Autograd keeps every step of an elementwise chain, such as the sigmoid and both products of a gated unit: at the width
of the MLP, a fifth of what a block of Qwen3-0.6B keeps. A compiled step makes them again in the kernel that uses them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models import activations

from tasks.device.backend import kind
from tasks.model.swiglu import cpu_swiglu, gpu_swiglu
from tasks.patch import original, replaced, wrapped

Function = Callable[..., mx.array]


class Made(NamedTuple):
    """The function and the inputs that an array was computed from: `function(*inputs)`."""

    function: Callable[..., mx.array]
    inputs: tuple[mx.array, ...]


ALONE = ("silu", "gelu", "gelu_approx")
"""Functions of one array in `mlx.nn`, which models call by that name."""


@contextmanager
def own_activations(device: Literal["cpu", "gpu"] | None = None) -> Iterator[None]:
    """Within the block, mlx-lm's models have the activations that a device trains best with.

    Keep it around the whole step, as checkpointed blocks run again in its backward. On a GPU values are the same to
    the bit and less is kept. On a CPU, where nothing is fused, keeping less would take 9 % off the starter model's
    memory and add 5 % to the time of its step: there the gated unit is made of cheaper operations.

    Args:
        device: the device to suit; None asks MLX.

    Example:
        >>> before = nn.silu
        >>> with own_activations("gpu"):
        ...     nn.silu is before
        False
        >>> nn.silu is before
        True
    """
    cpu = kind() == "cpu" if device is None else device == "cpu"
    gated, ours = original(activations, "swiglu"), cpu_swiglu if cpu else _Noted()
    with ExitStack() as stack:
        for module in [m for name, m in sys.modules.items() if name.startswith("mlx_lm.models.")]:
            if hasattr(module, "swiglu") and original(module, "swiglu") is gated:
                stack.enter_context(replaced(module, "swiglu", ours))
        for name in () if cpu else ALONE:
            stack.enter_context(wrapped(nn, name, _recomputed))
        yield


def made_of(x: mx.array) -> Made:
    """Returns what a projection keeps instead of its input: what the input was made of, where that is kept anyway.

    The output of a gated unit is the input of the down projection. Both inputs of the unit are kept for its own
    backward, so the projection's backward computes the unit again, and its output, as wide as the MLP, is not kept.

    Example:
        >>> made = made_of(mx.array(2.0))
        >>> made.function(*made.inputs).item()
        2.0
    """
    latest = getattr(activations.swiglu, "latest", None)
    return latest[1] if latest is not None and latest[0] is x else Made(identity, (x,))


def identity(x: mx.array) -> mx.array:
    """Returns its argument."""
    return x


class _Noted:
    """The gated unit of a GPU, which notes what it made last: models hand it to their next projection.

    Attributes:
        latest: its last output, and the function and inputs that it was made of.
    """

    def __init__(self) -> None:
        self.latest: tuple[mx.array, Made] | None = None

    def __call__(self, gate: mx.array, x: mx.array) -> mx.array:
        output = gpu_swiglu(gate, x)
        self.latest = output, Made(gpu_swiglu, (gate, x))
        return output


def _recomputed(stock: Function) -> Function:
    def call(x: mx.array) -> mx.array:
        function: Any = mx.custom_function(lambda x: stock(x))

        @function.vjp
        def backward(x: mx.array, cotangent: mx.array, _output: mx.array) -> mx.array:
            return mx.vjp(stock, mx.depends([x], [cotangent]), [cotangent])[1][0]

        return function(x)

    return call
