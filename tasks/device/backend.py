"""What MLX computes on now: asked here by everything that goes another way on another device."""

from typing import Literal

import mlx.core as mx


def backend() -> Literal["metal", "cuda", "cpu"]:
    """The backend of MLX's default device.

    Example:
        >>> backend() in ("metal", "cuda", "cpu")
        True
    """
    if mx.default_device() == mx.cpu:
        return "cpu"
    return "metal" if mx.metal.is_available() else "cuda"


def kind() -> Literal["cpu", "gpu"]:
    """Whether that is a processor or a GPU of any make.

    Example:
        >>> (kind() == "cpu") == (backend() == "cpu")
        True
    """
    return "cpu" if backend() == "cpu" else "gpu"
