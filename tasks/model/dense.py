"""Swaps a quantized base for dense matrices of equal weights for as long as a training lasts: unpacked once.

The values do not change: each weight is what its packed form stands for, in the dtype of the scales. The dense base
takes four times the memory of a 4-bit one; where that is not to be had, tasks/model/unpacked.py unpacks for each use.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import reduce
from typing import Any, Literal

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from tasks.device.capacity import device_memory
from tasks.patch import replaced

QUANTIZED = (nn.QuantizedLinear, nn.QuantizedEmbedding, QuantizedSwitchLinear)
SHARE = 0.4
"""Share of the device's memory that `auto` lets the dense base take; the rest is for activations. A rule of thumb:
tests/bench/ablation.py with `dequantized` measures the time that it buys, memory_model.py the memory that is left."""


@contextmanager
def dense_base(model: nn.Module, base: Literal["quantized", "dequantized", "auto"]) -> Iterator[int]:
    """Swaps a model's quantized layers for dense ones, and puts the packed ones back on leaving.

    Args:
        model: its quantized layers are frozen, wrapped by LoRA or not.
        base: `dequantized` always swaps, `quantized` never, `auto` where the dense weights fit into SHARE of memory.

    Yields:
        How many layers were swapped.

    Example:
        >>> layer = nn.Sequential(nn.QuantizedLinear(64, 8))
        >>> with dense_base(layer, "dequantized") as swapped:
        ...     swapped, type(layer.layers[0]).__name__
        (1, 'Linear')
        >>> type(layer.layers[0]).__name__
        'QuantizedLinear'
    """
    packed: dict[str, Any] = {name: module for name, module in model.named_modules() if isinstance(module, QUANTIZED)}
    if base == "quantized" or (base == "auto" and dense_bytes(packed.values()) > SHARE * device_memory()):
        packed = {}
    with ExitStack() as stack:
        for path, module in packed.items():
            *parents, last = map(_key, path.split("."))
            host = reduce(lambda node, key: node[key] if isinstance(key, int) else getattr(node, key), parents, model)
            stack.enter_context(replaced(host, last, dense(module)))
        yield len(packed)


def dense(module: Any) -> nn.Module:
    """The dense layer of the same weights, frozen, in the dtype of the scales."""
    weight = mx.dequantize(
        module.weight, module.scales, module.get("biases"), module.group_size, module.bits, mode=module.mode
    )
    if isinstance(module, nn.QuantizedEmbedding):
        layer: Any = nn.Embedding(1, 1)
    elif isinstance(module, QuantizedSwitchLinear):
        layer = SwitchLinear(1, 1, 1, bias=False)
    else:
        layer = nn.Linear(1, 1, bias=False)
    layer.weight = weight
    if "bias" in module:
        layer.bias = module.bias
    layer.freeze()
    return layer


def dense_bytes(modules: Any) -> int:
    """Bytes that these quantized layers would take as dense ones."""
    return sum(module.weight.size * 32 // module.bits * module.scales.dtype.size for module in modules)


def _key(part: str) -> str | int:
    """A part of a module's path: a name, or the index in a list."""
    return int(part) if part.isdigit() else part
