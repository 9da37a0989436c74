"""Trains through a quantized base by dense products, each weight unpacked where it is used and dropped again.

A quantized layer multiplies its packed form, for which the many rows of a training step have slow kernels, in the
backward most of all (a naive one on CUDA, loops on the CPU). Here each direction unpacks the weight, multiplies and
drops it again, so that the base stays packed and the products are dense.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from tasks.patch import original, other_class


@contextmanager
def unpacked_products(model: nn.Module) -> Iterator[None]:
    """Gives the quantized layers of a model a class whose products are dense; undone on leaving.

    Keep it around the whole step, not in the loss: the gradient is taken by what the forward was traced with. Layers
    of another class (a mixture's packed experts) stay as they are.

    Example:
        >>> model = nn.Sequential(nn.QuantizedLinear(64, 8))
        >>> with unpacked_products(model):
        ...     type(model.layers[0]).__name__
        'UnpackedLinear'
        >>> type(model.layers[0]).__name__
        'QuantizedLinear'
    """
    layers = [m for _, m in model.named_modules() if original(m, "__class__") in UNPACKED]
    with other_class(layers, UNPACKED.__getitem__):
        yield


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


UNPACKED: dict[type, type] = {nn.QuantizedLinear: UnpackedLinear, nn.QuantizedEmbedding: UnpackedEmbedding}
"""The dense class that a layer of exactly this class becomes."""

AT_A_TIME = 2**26
"""Weights that are unpacked at a time, 128 MiB in bfloat16: any matrix of a block, but a slice of a large head
(tests/bench/ablation.py with `--bits 4`, against `stock`)."""


def _product(layer: Any, x: mx.array) -> mx.array:
    outputs, inputs = layer.weight.shape[0], x.shape[-1]
    step = max(1, AT_A_TIME // inputs)
    slices = [slice(start, min(start + step, outputs)) for start in range(0, outputs, step)]

    def forward(x: mx.array) -> mx.array:
        parts: list[mx.array] = []
        for rows in slices:
            parts.append(x @ _unpacked(layer, rows, after=parts[-1] if parts else x).astype(x.dtype).T)
        return parts[0] if len(parts) == 1 else mx.concatenate(parts, axis=-1)

    function: Any = mx.custom_function(forward)

    @function.vjp
    def backward(_primal: mx.array, cotangent: mx.array, _output: mx.array) -> mx.array:
        total: mx.array | None = None
        for rows in slices:
            weight = _unpacked(layer, rows, after=cotangent if total is None else total).astype(cotangent.dtype)
            part = cotangent[..., rows]
            total = part @ weight if total is None else mx.addmm(total, part, weight)
        assert total is not None
        return total

    return function(x)


def _unpacked(layer: Any, rows: slice, *, after: mx.array) -> mx.array:
    """Rows of the weight [out, in], not before `after` is there, so that few are alive at a time."""
    packed = mx.depends([layer.weight[rows]], [after])[0]
    biases = layer.get("biases")
    biases = None if biases is None else biases[rows]
    return mx.dequantize(packed, layer.scales[rows], biases, layer.group_size, layer.bits, mode=layer.mode)
