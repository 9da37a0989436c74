"""Gradients over micro-batches: add sums, then divide once by the true count.

Averaging the micro-batches' means weighs a short one like a long one: on ordinary data that changes the loss by
several percent. The sum of the losses' sums has the gradient that one large batch would have.
"""

from collections.abc import Iterable
from typing import NamedTuple

import mlx.core as mx
from mlx.utils import tree_map

from tasks.grad.tree import Tree
from tasks.loss import LossSum


class Part(NamedTuple):
    """The result of one micro-batch: its loss, and the gradients of the loss's *total*, a tree of arrays."""

    loss: LossSum
    grads: Tree


def add(left: Part, right: Part) -> Part:
    """Adds two parts. Sums are float32 at least, so that bfloat16 gradients do not lose the small parts."""

    def plus(a: mx.array, b: mx.array) -> mx.array:
        return _wide(a) + _wide(b)

    return Part(
        LossSum(left.loss.total + right.loss.total, left.loss.count + right.loss.count),
        tree_map(plus, left.grads, right.grads),
    )


def accumulate(parts: Iterable[tuple[LossSum, Tree]]) -> Part:
    """The loss over all micro-batches, and the gradients of its mean.

    `parts` is read one at a time, and each sum is evaluated before the next is asked for, so a generator keeps one
    micro-batch's activations alive. (Inside `mx.compile` nothing can be evaluated: use `add` and `divide` there.)

    Args:
        parts: (loss sum, gradients of its total), as `value_and_grad` of a function that returns a `LossSum` gives.

    Returns:
        (the summed LossSum, gradients divided by its count in the dtype they came in). A count of 0, no supervised
        token at all, gives zero gradients, never NaN and never None; skip the update then, for weight decay and
        momentum would still move the weights.

    Raises:
        ValueError: there are no parts.

    Example:
        >>> parts = [(LossSum(mx.array(2.0 * n), mx.array(n)), {"w": mx.array([3.0 * n])}) for n in (1.0, 3.0)]
        >>> loss, grads = accumulate(parts)
        >>> loss.mean.item(), grads["w"].item()
        (2.0, 3.0)
    """
    total: Part | None = None
    like: Tree = None
    for loss, grads in parts:
        part = Part(LossSum(loss[0], loss[1]), grads)
        like = grads if total is None else like
        total = part if total is None else add(total, part)
        mx.eval(total)
    if total is None:
        raise ValueError("no micro-batches to accumulate; a step needs at least one")
    return divide(total, like)


def divide(part: Part, like: Tree = None) -> Part:
    """Divides the gradients by the count of the loss; zero where the count is 0.

    Args:
        like: a tree of arrays whose dtypes the gradients take; None keeps their own.
    """
    share = mx.where(part.loss.count > 0, 1 / mx.where(part.loss.count > 0, part.loss.count, 1.0), 0.0)
    grads = tree_map(lambda g, m: (_wide(g) * share).astype(m.dtype), part.grads, part.grads if like is None else like)
    return Part(part.loss, grads)


def _wide(array: mx.array) -> mx.array:
    return array.astype(mx.float32) if array.dtype in (mx.float16, mx.bfloat16) else array
