"""Clipping by the global norm: one factor for all gradients, so that their direction stays.

Pascanu et al. 2013, arXiv:1211.5063. Squares are summed in float32 whatever the gradients' dtype, scaled
where they are huge, so that neither a float16 gradient nor a huge one overflows on the way to a norm that is finite.
"""

from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map


def global_norm(grads: Any) -> mx.array:
    """The L2 norm over every array of a tree, scalar float32; NaN or infinite if any entry is.

    Example:
        >>> global_norm({"a": mx.array([3.0]), "b": [mx.array([4.0])]}).item()
        5.0
    """
    arrays = [grad.astype(mx.float32) for _, grad in tree_flatten(grads) if isinstance(grad, mx.array) and grad.size]
    if not arrays:
        return mx.array(0.0)
    largest = mx.stack([mx.abs(a).max() for a in arrays]).max()
    # Squares overflow float32 from 1.8e19 on. Ordinary gradients are divided by 1, which is exact.
    unit = mx.where(largest > 1e15, largest, 1.0)
    return unit * mx.sqrt(mx.stack([(a / unit).square().sum() for a in arrays]).sum())


def clip(grads: Any, clip_norm: float | None) -> tuple[Any, mx.array]:
    """Scales gradients down so that their global norm is at most `clip_norm`.

    Args:
        grads: a tree of arrays; each keeps its dtype.
        clip_norm: the largest norm, above 0; None measures without clipping.

    Returns:
        (the tree, the norm before clipping: scalar float32). Nothing is synchronised: the norm is an array, and a
        gradient that is not finite makes it NaN or infinite, which the caller tests at its next read,
        `math.isfinite(norm.item())`; the gradients are then of no use, so skip that update.

    Example:
        >>> clipped, norm = clip({"w": mx.array([3.0, 4.0])}, 1.0)
        >>> norm.item(), [round(x, 3) for x in clipped["w"].tolist()]
        (5.0, [0.6, 0.8])
    """
    norm = global_norm(grads)
    if clip_norm is None:
        return grads, norm
    assert clip_norm > 0, clip_norm
    factor = clip_norm / mx.maximum(norm, clip_norm)
    return tree_map(lambda g: (g * factor).astype(g.dtype), grads), norm
