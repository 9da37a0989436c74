"""What MLX computes on now."""

import mlx.core as mx


def backend() -> str:
    """What MLX computes on now: `metal`, `cuda` or `cpu`.

    Example:
        >>> backend() in ("metal", "cuda", "cpu")
        True
    """
    if mx.default_device() == mx.cpu:
        return "cpu"
    return "metal" if mx.metal.is_available() else "cuda"
