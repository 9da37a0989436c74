"""Prototypes: norms whose frozen weight gets no gradient, and quantized layers that compute dense.

A dense product reads the dequantized weight, which is built where it is used, in each direction, and dropped.
"""

from typing import Any

import mlx.core as mx
import mlx.nn as nn


def dequantized(layer: Any, *after: mx.array) -> mx.array:
    """The layer's weight [out, in], not before `after` is there, so that few such weights are alive at a time."""
    weight = mx.depends([layer.weight], list(after))[0]
    return mx.dequantize(weight, layer.scales, layer.get("biases"), layer.group_size, layer.bits, mode=layer.mode)


def dense_product(layer: Any, x: mx.array) -> mx.array:
    """x @ W.T through a dense product both ways; the weight is frozen and gets no gradient."""

    def forward(x: mx.array) -> mx.array:
        return x @ dequantized(layer, x).astype(x.dtype).T

    function: Any = mx.custom_function(forward)

    @function.vjp
    def backward(_primal: mx.array, cotangent: mx.array, _output: mx.array) -> mx.array:
        return cotangent @ dequantized(layer, cotangent).astype(cotangent.dtype)

    return function(x)


class DenseLinear(nn.QuantizedLinear):
    """A quantized linear layer that computes dense."""

    def __call__(self, x: mx.array) -> mx.array:
        """x @ W.T + b."""
        y = dense_product(self, x)
        return y + self["bias"] if "bias" in self else y


class DenseEmbedding(nn.QuantizedEmbedding):
    """A quantized embedding whose use as a head computes dense."""

    def as_linear(self, x: mx.array) -> mx.array:
        """x @ W.T."""
        return dense_product(self, x)


def compute_dense(model: nn.Module) -> None:
    """Gives each quantized layer of the model the class that computes dense."""
    for _, module in model.named_modules():
        if type(module) is nn.QuantizedLinear:
            object.__setattr__(module, "__class__", DenseLinear)
        elif type(module) is nn.QuantizedEmbedding:
            object.__setattr__(module, "__class__", DenseEmbedding)


class FrozenNorm(nn.RMSNorm):
    """An RMS norm that computes no gradient of its weight, which is frozen."""

    def __call__(self, x: mx.array) -> mx.array:
        """The norm of x."""
        function: Any = mx.custom_function(lambda x: mx.fast.rms_norm(x, self["weight"], self.eps))

        @function.vjp
        def backward(primal: mx.array, cotangent: mx.array, _output: mx.array) -> mx.array:
            def plain(x: mx.array) -> mx.array:
                return mx.fast.rms_norm(x, None, self.eps)

            return mx.vjp(plain, [primal], [cotangent * self["weight"]])[1][0]

        return function(x)


def freeze_norms(model: nn.Module) -> None:
    """Gives each norm of the model the class that computes no gradient of its weight."""
    for _, module in model.named_modules():
        if type(module) is nn.RMSNorm:
            object.__setattr__(module, "__class__", FrozenNorm)
