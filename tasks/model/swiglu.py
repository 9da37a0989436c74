"""SwiGLU, silu(gate) * x: for a GPU with a backward that keeps little, for a CPU with one that computes little."""

from typing import Any

import mlx.core as mx

from tasks.device.fast_exp import exp

FLOOR = -80.0
"""Gates are clipped to it from below: the sigmoid is then 2e-35, and its reciprocal still a number."""


def gpu_swiglu(gate: mx.array, x: mx.array) -> mx.array:
    """silu(gate) * x, elementwise, of two arrays of one shape, which are all that the backward keeps.

    Its gradient is computed in float32 and given in the dtype of the inputs. A compiled step makes each part in one
    kernel: what both read in float32 is made for each anew, as MLX would make it once, as an array of its own.

    Example:
        >>> mx.grad(lambda gate: gpu_swiglu(gate, mx.array(2.0)))(mx.array(0.0)).item()
        1.0
    """
    function: Any = mx.custom_function(lambda gate, x: gate * mx.sigmoid(gate) * x)

    @function.vjp
    def backward(primals: Any, cotangent: mx.array, _output: mx.array) -> list[mx.array]:
        gate, x, dy = (a.astype(mx.float32) for a in mx.depends([*primals, cotangent], [cotangent]))
        dgate = _dgate(gate, x, dy, mx.sigmoid(gate)).astype(primals[0].dtype)
        gate, dy = (a.astype(mx.float32) for a in mx.depends([primals[0], cotangent], [dgate]))
        return [dgate, _dx(gate, dy, mx.sigmoid(gate)).astype(primals[1].dtype)]

    return function(gate, x)


def cpu_swiglu(gate: mx.array, x: mx.array) -> mx.array:
    """silu(gate) * x, whose backward reads the sigmoid of the forward.

    The sigmoid's exponential is most of its cost on a CPU: 12 us of the starter model's 142 a token, here 5.

    Example:
        >>> cpu_swiglu(mx.array([0.0, 2.0]), mx.array([1.0, 3.0])).tolist()
        [0.0, 5.284782409667969]
    """
    if gate.dtype != mx.float32:
        return gate * mx.sigmoid(gate) * x

    def forward(gate: mx.array, x: mx.array) -> list[mx.array]:
        sigmoid = 1 / (1 + exp(-mx.maximum(gate, FLOOR)))
        return [gate * sigmoid * x, sigmoid]

    function: Any = mx.custom_function(forward)

    @function.vjp
    def backward(primals: list[mx.array], cotangents: list[mx.array], outputs: list[mx.array]) -> list[mx.array]:
        (gate, x), (cotangent, _), (_, sigmoid) = primals, cotangents, outputs
        return [_dgate(gate, x, cotangent, sigmoid), _dx(gate, cotangent, sigmoid)]

    return function(gate, x)[0]


def _dgate(gate: mx.array, x: mx.array, cotangent: mx.array, sigmoid: mx.array) -> mx.array:
    return cotangent * x * (sigmoid + gate * sigmoid * (1 - sigmoid))


def _dx(gate: mx.array, cotangent: mx.array, sigmoid: mx.array) -> mx.array:
    return cotangent * (gate * sigmoid)
