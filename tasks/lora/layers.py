"""The wrapped layers: a frozen projection plus a low-rank update whose float32 masters are cast to the compute dtype.

Parameter names and shapes are mlx-lm's, so that its loader reads our adapters. Two things differ from its layers.
The masters are cast to the input's dtype inside the step, so that no float32 copy of an activation is kept. And
dropout draws from a key that is handed in (kept as `_key`, which MLX does not count as a parameter), so that
a gradient-checkpointed block draws the same mask when it is recomputed.
"""

# Shapes: N rows of activations (batch and positions together), D inputs, E outputs, R rank.
#
# The layer, plainly:                       and its gradients:
#     t = x @ a                [N, R]            dt = dy @ b.T
#     y = linear(x) + t @ b    [N, E]            da, db = x.T @ dt, t.T @ dy
#     (the scale is in b already)                dx = linear's + dt @ a.T
#
# `_fused` computes just that, as one custom function, because three things cost more than the arithmetic: the sums are
# made by `addmm`, so that no update of the size of y or dx is an array of its own; x is not kept where it can be made
# again from arrays that are kept anyway (`made_of`); da and db are computed with the layer, not at the end of the step.

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from tasks.lora.adapted import Adapted
from tasks.model.activations import identity, made_of

TRAINED, SCALED = ("lora_a", "lora_b"), ("lora_b",)
"""The parameters of a layer by mlx-lm's names: the only place that names them."""


class LoRALinear(Adapted):
    """A linear projection with a low-rank update: x @ W.T + scale * ((dropout(x) @ A) @ B).

    `lora_a` is [in, rank], uniform in +-1/sqrt(in); `lora_b` is [rank, out], zero; both float32.
    """

    trained, scaled = TRAINED, SCALED
    lora_a: mx.array
    lora_b: mx.array

    def __init__(
        self, linear: nn.Linear | nn.QuantizedLinear, *, rank: int, scale: float, dropout: float, key: mx.array
    ):
        super().__init__()
        outputs, inputs = _dense_shape(linear)
        self.linear = linear
        self.scale, self.dropout, self._key = scale, dropout, None
        self.lora_a = _uniform((inputs, rank), inputs, key)
        self.lora_b = mx.zeros((rank, outputs))

    def __call__(self, x: mx.array) -> mx.array:
        a, b = self.lora_a.astype(x.dtype), self.lora_b.astype(x.dtype)
        if self.dropout == 0 or not self.training or self._key is None:
            return _adapted(self.linear, x, a, b, self.scale)
        y = self.linear(x)
        return y + (self.scale * ((_dropout(self, x) @ a) @ b)).astype(y.dtype)


class LoRASwitchLinear(Adapted):
    """A mixture's projection with a low-rank update for each expert: LoRALinear, routed by `indices`.

    `lora_a` is [experts, rank, in], `lora_b` is [experts, out, rank]; both float32.
    """

    trained, scaled = TRAINED, SCALED
    lora_a: mx.array
    lora_b: mx.array

    def __init__(
        self, linear: SwitchLinear | QuantizedSwitchLinear, *, rank: int, scale: float, dropout: float, key: mx.array
    ):
        super().__init__()
        experts, inputs, outputs = linear.num_experts, linear.input_dims, linear.output_dims
        self.linear = linear
        self.scale, self.dropout, self._key = scale, dropout, None
        self.lora_a = _uniform((experts, rank, inputs), inputs, key)
        self.lora_b = mx.zeros((experts, outputs, rank))

    def __call__(self, x: mx.array, indices: mx.array, sorted_indices: bool = False) -> mx.array:
        y = self.linear(x, indices, sorted_indices=sorted_indices)
        z = _dropout(self, x)
        for factor in (self.lora_a, self.lora_b):
            matrix = factor.astype(x.dtype).swapaxes(-1, -2)
            z = mx.gather_mm(z, matrix, rhs_indices=indices, sorted_indices=sorted_indices)
        return y + (z if self.scale == 1 else self.scale * z).astype(y.dtype)


def wrap(linear: nn.Module, *, rank: int, scale: float, dropout: float, key: mx.array) -> LoRALinear | LoRASwitchLinear:
    """The wrapped form of a projection of any of the types in `tasks.model.family.LINEAR`."""
    if isinstance(linear, SwitchLinear | QuantizedSwitchLinear):
        return LoRASwitchLinear(linear, rank=rank, scale=scale, dropout=dropout, key=key)
    assert isinstance(linear, nn.Linear | nn.QuantizedLinear), type(linear)
    return LoRALinear(linear, rank=rank, scale=scale, dropout=dropout, key=key)


def _adapted(linear: nn.Module, x: mx.array, a: mx.array, b: mx.array, scale: float) -> mx.array:
    """linear(x) + scale * (x @ a) @ b, each sum made by the product that it follows, in both directions.

    Plain, the update and its gradient are arrays of the size of y and x, written and read again to be added: on a GPU
    that costs as much as the products of the update themselves. The scale goes into B, small as it is: `addmm` has a
    factor of its own, but MLX 0.32.4 forgets it in forward mode, which the check `adjoint` found. Inside `unscaled`
    it is in B already.
    """
    source, inputs = made_of(x)
    *batch, _ = x.shape
    call: Any = _fused(linear, source)
    flat = [array.reshape(-1, array.shape[-1]) for array in inputs]
    return call(*flat, a, b if scale == 1 else scale * b)[0].reshape(*batch, -1)


def _fused(linear: nn.Module, source: Callable[..., mx.array]) -> Any:
    """Inputs [N, ...], a [in, rank], b [rank, out] -> (linear(x) + (x @ a) @ b, x @ a), with a gradient of them all.

    x [N, in] is `source` of the inputs; it is made again for the backward pass, not kept.
    """

    def forward(*primals: mx.array) -> list[mx.array]:
        *inputs, a, b = primals
        x_ND = source(*inputs)
        y_NE, t_NR = linear(x_ND), x_ND @ a  # pyright: ignore[reportCallIssue]
        return [mx.addmm(y_NE, t_NR.astype(y_NE.dtype), b.astype(y_NE.dtype)), t_NR]

    function = mx.custom_function(forward)

    @function.vjp
    def backward(primals: list[mx.array], cotangents: list[mx.array], outputs: list[mx.array]) -> list[mx.array]:
        (*inputs, a, b), dy_NE, t_NR = primals, cotangents[0], outputs[1]
        dt_NR = dy_NE.astype(b.dtype) @ b.T
        x_ND = inputs[0] if source is identity else source(*mx.depends(inputs, [dy_NE]))
        dx_ND = mx.vjp(linear, [x_ND], [dy_NE])[1][0]
        da, db = x_ND.T @ dt_NR, t_NR.T @ dy_NE.astype(b.dtype)
        # Or MLX leaves da and db, which nothing reads until the update, to the end, and keeps x and dy of every layer.
        dx_ND = mx.depends([mx.addmm(dx_ND, dt_NR, a.T)], [da, db])[0]
        return [*([dx_ND] if source is identity else mx.vjp(source, inputs, [dx_ND])[1]), da, db]

    return function


def _dense_shape(linear: nn.Linear | nn.QuantizedLinear) -> tuple[int, int]:
    outputs, inputs = linear.weight.shape
    if isinstance(linear, nn.QuantizedLinear):
        inputs = inputs * 32 // linear.bits
    return outputs, inputs


def _uniform(shape: tuple[int, ...], inputs: int, key: mx.array) -> mx.array:
    bound = 1 / math.sqrt(inputs)
    return mx.random.uniform(-bound, bound, shape, key=key)


def _dropout(layer: LoRALinear | LoRASwitchLinear, x: mx.array) -> mx.array:
    if layer.dropout == 0 or not layer.training or layer._key is None:
        return x
    keep = 1 - layer.dropout
    mask = mx.random.bernoulli(keep, x.shape, key=layer._key)
    return mx.where(mask, x * (1 / keep), 0).astype(x.dtype)
