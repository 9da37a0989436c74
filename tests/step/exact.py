"""Float64 where MLX's CPU has none: what a plain step needs to be the exact one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn


@contextmanager
def in_float64() -> Iterator[None]:
    """Stand-ins for causal depthwise convolutions and the products of experts."""
    stock = mx.gather_mm, nn.Conv1d.__call__

    def gather_mm(a: mx.array, b: mx.array, *, rhs_indices: mx.array, sorted_indices: bool = False) -> mx.array:
        return a @ b[rhs_indices]

    def convolve(layer: Any, x: mx.array) -> mx.array:
        assert layer.weight.shape[2] == 1, "depthwise"
        taps = layer.weight.shape[1]
        length = x.shape[1] - taps + 1
        y = sum((x[:, n : n + length] * layer.weight[:, n, 0] for n in range(taps)), mx.array(0.0, x.dtype))
        return y + layer.bias if "bias" in layer else y

    mx.gather_mm, nn.Conv1d.__call__ = gather_mm, convolve  # type: ignore[method-assign]
    try:
        yield
    finally:
        mx.gather_mm, nn.Conv1d.__call__ = stock  # type: ignore[method-assign]
