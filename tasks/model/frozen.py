"""A frozen base while it is trained through: nothing is computed that only a trained base would need.

Two kinds of layer do more by themselves. An RMS norm computes the gradient of its weight, a sum over all rows that
nobody reads. A quantized layer multiplies its packed form, for which a training step's many rows have slow kernels,
in the backward most of all (a naive one on CUDA, loops on the CPU); here each direction unpacks the weight where it
is used and drops it again, so that the base stays packed and the products are dense.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn


@contextmanager
def frozen_base(model: nn.Module) -> Iterator[None]:
    """Gives the layers of a model a class that computes what a frozen layer needs; undone on leaving.

    Keep it around the whole step, not in the loss: the gradient is taken by what the forward was traced with. Layers
    with a class of their own (a norm that adds 1 to its weight, a mixture's packed experts) stay as they are.

    Example:
        >>> layer = nn.Sequential(nn.RMSNorm(8), nn.QuantizedLinear(64, 8)).freeze()
        >>> with frozen_base(layer):
        ...     [type(module).__name__ for module in layer.layers]
        ['FrozenRMSNorm', 'UnpackedLinear']
        >>> [type(module).__name__ for module in layer.layers]
        ['RMSNorm', 'QuantizedLinear']
    """
    layers = [(module, type(module)) for _, module in model.named_modules() if type(module) in FROZEN]
    for layer, cls in layers:
        assert not layer.trainable_parameters(), f"a trained {cls.__name__}"
        object.__setattr__(layer, "__class__", FROZEN[cls])
    try:
        yield
    finally:
        for layer, cls in layers:
            object.__setattr__(layer, "__class__", cls)


class FrozenRMSNorm(nn.RMSNorm):
    """An RMS norm with no gradient of its weight."""

    def __call__(self, x: mx.array) -> mx.array:
        """x / rms(x) * weight, in the dtype of x."""
        function: Any = mx.custom_function(lambda x: mx.fast.rms_norm(x, self["weight"], self.eps))

        @function.vjp
        def backward(x: mx.array, cotangent: mx.array, _output: mx.array) -> mx.array:
            def unscaled(x: mx.array) -> mx.array:
                return mx.fast.rms_norm(x, None, self.eps)

            return mx.vjp(unscaled, [x], [(cotangent * self["weight"]).astype(x.dtype)])[1][0]

        return function(x)


class UnpackedLinear(nn.QuantizedLinear):
    """A quantized linear layer whose products are dense."""

    def __call__(self, x: mx.array) -> mx.array:
        """x @ W.T + b."""
        y = _product(self, x)
        return y + self["bias"] if "bias" in self else y


class UnpackedEmbedding(nn.QuantizedEmbedding):
    """A quantized embedding whose product as a head is dense."""

    def as_linear(self, x: mx.array) -> mx.array:
        """x @ W.T."""
        return _product(self, x)


FROZEN: dict[type, type] = {
    nn.RMSNorm: FrozenRMSNorm,
    nn.QuantizedLinear: UnpackedLinear,
    nn.QuantizedEmbedding: UnpackedEmbedding,
}
"""What a layer of exactly this class becomes."""


def _product(layer: Any, x: mx.array) -> mx.array:
    function: Any = mx.custom_function(lambda x: x @ _unpacked(layer, x).T)

    @function.vjp
    def backward(_primal: mx.array, cotangent: mx.array, _output: mx.array) -> mx.array:
        return cotangent @ _unpacked(layer, cotangent)

    return function(x)


def _unpacked(layer: Any, after: mx.array) -> mx.array:
    """The weight [out, in] in the dtype of `after`, not before that is there, so that few are alive at a time."""
    packed = mx.depends([layer.weight], [after])[0]
    biases = layer.get("biases")
    weight = mx.dequantize(packed, layer.scales, biases, layer.group_size, layer.bits, mode=layer.mode)
    return weight.astype(after.dtype)
