"""The one order of an adapter's parameters, by sorted full name, and the checksums of the base beneath it.

`mx.save_safetensors` writes tensors in the order it is given, so the order here is what makes the same adapter the
same file.
"""

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from tasks.lora.attach import adapted_layers


def adapter_parameters(model: nn.Module) -> dict[str, mx.array]:
    """The adapter's parameters by full name (`model.layers.0.self_attn.q_proj.lora_a`), sorted; float32."""
    named = {
        f"{name}.{leaf}": getattr(layer, leaf)
        for name, layer in adapted_layers(model).items()
        for leaf in ("lora_a", "lora_b")
    }
    return dict(sorted(named.items()))


def base_checksums(model: nn.Module) -> dict[str, str]:
    """What each base parameter holds, {name: "dtype shape checksum"}, whether or not an adapter is attached.

    The checksum is the sum of the parameter's bytes taken as integers, and the sum of their squares, modulo 2**64:
    any changed value changes it, and it costs one pass over the weights on the device.
    """
    adapter = set(adapter_parameters(model))
    sums: dict[str, str] = {}
    for name, array in sorted(tree_flatten(model.parameters())):
        if name not in adapter:
            shape = "x".join(map(str, array.shape))
            sums[name.replace(".linear.", ".")] = f"{str(array.dtype).removeprefix('mlx.core.')} {shape} {_checksum(array)}"
    return dict(sorted(sums.items()))


def _checksum(array: mx.array) -> str:
    unsigned = {1: mx.uint8, 2: mx.uint16, 4: mx.uint32, 8: mx.uint64}[array.dtype.size]
    words = mx.contiguous(array).reshape(-1).view(unsigned).astype(mx.uint64)
    return f"{mx.sum(words).item():016x}{mx.sum(words * words).item():016x}"
