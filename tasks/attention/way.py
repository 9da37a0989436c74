"""Which way attention inside segments takes on a backend."""

from typing import Literal

Way = Literal["mask", "blockwise", "split"]
"""`mask`: the stock call with an additive mask. `blockwise`: our own, O(L) memory. `split`: one call a segment."""

CUDA_MASK_BYTES = 2**30
"""The most that a bfloat16 mask may hold on CUDA: rows of up to 23,170 positions, one at a time."""


def choose_way(length: int, backend: str, *, rows: int = 1, boundaries: bool = False) -> Way:
    """The way for `rows` packed rows of `length` positions.

    - `split` wherever the segments' boundaries are known when the graph is built (`boundaries`): no masked product is
      computed, and Metal keeps its fused kernels. Each set of boundaries is a graph of its own.
    - Metal never gets an array mask: under grad it falls back to storing [B, H, L, L] for each layer, both ways.
    - CUDA: cuDNN is fused in both directions with a mask if L % 128 == 0; the mask itself is L^2, shared by all
      layers. Other lengths, and masks beyond 1 GiB, go blockwise.
    - CPU: blockwise, always. Attention there is unfused, and blockwise skips the half above the diagonal.

    Args:
        backend: `metal`, `cuda` or `cpu`, as `backend()` says.

    Raises:
        ValueError: another backend.

    Example:
        >>> choose_way(2048, "cuda"), choose_way(2000, "cuda"), choose_way(2048, "metal")
        ('mask', 'blockwise', 'blockwise')
    """
    if backend not in ("metal", "cuda", "cpu"):
        raise ValueError(f"backend is {backend!r}; choose from metal, cuda, cpu")
    if boundaries:
        return "split"
    if backend == "cuda" and length % 128 == 0 and 2 * rows * length * length <= CUDA_MASK_BYTES:
        return "mask"
    return "blockwise"


def backend() -> str:
    """What MLX computes on now: `metal`, `cuda` or `cpu`.

    Example:
        >>> backend() in ("metal", "cuda", "cpu")
        True
    """
    import mlx.core as mx

    if mx.default_device() == mx.cpu:
        return "cpu"
    return "metal" if mx.metal.is_available() else "cuda"
