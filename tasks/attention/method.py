"""Chooses how attention inside segments is computed on a backend."""

from typing import Literal

import mlx.core as mx

Way = Literal["mask", "blockwise", "split", "causal"]
"""`mask`: the stock call with an additive mask. `blockwise`: our own, O(L) memory. `split`: one call a segment.
`causal`: for rows of one segment, the stock call where `trains_stock` is true."""

LONG = {"cpu": 128, "cuda": 1024, "metal": 1024}
"""Positions from which on [H, L, L] is not to be stored. On a CPU blockwise is the faster one from there on
(tests/bench/ablation.py with `blockwise` for time, attention_memory.py for memory)."""

METAL_HEADS = frozenset((size, size) for size in (64, 72, 80, 96, 128, 192, 256)) | {(96, 64)}
"""Sizes of a head's keys and values for which Metal's fused attention has a backward."""

CUDA_MASK_BYTES = 2**30
"""Bytes that a bfloat16 mask may take on CUDA: rows of up to 23,170 positions, one at a time."""


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


def trains_stock(
    backend: str,
    length: int,
    heads: tuple[int, int],
    dtype: mx.Dtype,
    *,
    window: int | None = None,
    sinks: bool = False,
) -> bool:
    """Whether MLX's own causal attention is the one to train a segment with.

    It is where it is fused both ways, or where the segment is so short that what it stores does not matter. It is not
    where it would need a mask (a window that the segment passes), nor, on a GPU, with sinks: their gradient is missing
    on Metal and wrong on CUDA (MLX 0.32.4).

    Args:
        backend: `metal`, `cuda` or `cpu`, as `backend()` says.
        length: positions of the segment.
        heads: size of a head's keys and of its values.
        dtype: the dtype of the queries.
        window: keys that a query sees; None for all.
        sinks: whether the normaliser has a score per head.

    Example:
        >>> trains_stock("cuda", 2048, (128, 128), mx.bfloat16), trains_stock("cuda", 2048, (256, 256), mx.bfloat16)
        (True, False)
        >>> trains_stock("cpu", 100, (64, 64), mx.float32), trains_stock("cpu", 2048, (64, 64), mx.float32)
        (True, False)
    """
    if (window is not None and window < length) or (sinks and backend != "cpu"):
        return False
    if length < LONG[backend]:
        return True
    if backend == "metal":
        return heads in METAL_HEADS
    half = dtype in (mx.float16, mx.bfloat16)
    return backend == "cuda" and half and length % 128 == 0 and all(size % 8 == 0 and size <= 128 for size in heads)
