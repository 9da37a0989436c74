"""e**x without `mx.exp`, which takes 9 ns an element on MLX's CPU backend for Linux, where `mx.power` takes 3.3."""

import math

import mlx.core as mx

from tasks.device.backend import kind

LOWEST = -126.0
"""The least exponent of two: `power` takes eight times as long to find that a result is zero."""


def unit() -> float:
    """What exponents are best counted in: 1 for powers of e; log2 e for powers of two, on a CPU."""
    return math.log2(math.e) if kind() == "cpu" else 1.0


def power(x: mx.array) -> mx.array:
    """e**(x / unit()) in float32; on a CPU 2**x, 1e-38 below -126.

    Example:
        >>> power(unit() * mx.array([0.0, 1.0])).tolist()
        [1.0, 2.7182817459106445]
    """
    return mx.power(2.0, mx.maximum(x, LOWEST)) if kind() == "cpu" else mx.exp(x)


def exp(x: mx.array) -> mx.array:
    """e**x in float32, 1e-38 below -87; as a power of two on a CPU. Not to be differentiated: MLX's way is slow.

    Example:
        >>> exp(mx.array([0.0, 1.0, -1e30])).tolist()
        [1.0, 2.7182817459106445, 1.1754943508222875e-38]
    """
    return power(x * unit()) if kind() == "cpu" else mx.exp(x)
