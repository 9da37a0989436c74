"""Checksums of the base beneath an adapter, one for each parameter."""

from typing import cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from tasks.lora.attach import adapter_parameters

PIECE = 2**22
"""Entries that are summed at a time, so that a checksum takes a few megabytes however large the parameter."""


def base_checksums(model: nn.Module) -> dict[str, str]:
    """The record of each base parameter, {name: "dtype shape checksum"}, whether or not an adapter is attached.

    The checksum is two sums modulo 2**64 of the parameter's entries taken as integers: plain, and each times its
    place, so that entries that were exchanged (permuted heads) are noticed as a changed one is. It costs one pass
    over the weights on the device, a piece at a time.
    """
    adapter = set(adapter_parameters(model))
    sums: dict[str, str] = {}
    for name, array in sorted(cast(list[tuple[str, mx.array]], tree_flatten(model.parameters()))):
        if name not in adapter:
            shape = "x".join(map(str, array.shape))
            sums[name.replace(".linear.", ".")] = (
                f"{str(array.dtype).removeprefix('mlx.core.')} {shape} {_checksum(array)}"
            )
    return dict(sorted(sums.items()))


def _checksum(array: mx.array) -> str:
    unsigned = {1: mx.uint8, 2: mx.uint16, 4: mx.uint32, 8: mx.uint64}[array.dtype.size]
    words = mx.contiguous(array).reshape(-1).view(unsigned)
    plain = placed = 0
    for start in range(0, words.size, PIECE):
        piece = words[start : start + PIECE].astype(mx.uint64)
        places = mx.arange(1, piece.size + 1).astype(mx.uint64)
        total = int(np.array(mx.sum(piece)))
        plain += total
        placed += int(np.array(mx.sum(piece * places))) + start * total
    return f"{plain % 2**64:016x}{placed % 2**64:016x}"
