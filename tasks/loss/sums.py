"""The result of every loss: a sum and a count.

A mean of means weights a short micro-batch like a long one. Sums and counts add over chunks, micro-batches and
machines without that error, and the caller divides once, by the true count.
"""

from typing import NamedTuple

import mlx.core as mx


class LossSum(NamedTuple):
    """A loss, summed, and the weight it was summed over.

    `a.add(b)` is the loss of both. Being a tuple whose first item is the total, it is what `value_and_grad` wants to
    be returned: the total is differentiated, the count comes along.

    Attributes:
        total: scalar float32, the weighted sum of the per-token losses, in nats for the cross entropies.
        count: scalar float32, the sum of the weights; whole numbers are exact up to 2**24.

    Example:
        >>> LossSum(mx.array(6.0), mx.array(4.0)).add(LossSum(mx.array(1.0), mx.array(1.0))).mean.item()
        1.399999976158142
    """

    total: mx.array
    count: mx.array  # pyright: ignore[reportIncompatibleMethodOverride]  # tuple.count is of no use here

    def add(self, other: "LossSum") -> "LossSum":
        """The loss over both; `+` would join two tuples."""
        return LossSum(self.total + other.total, self.count + other.count)

    @property
    def mean(self) -> mx.array:
        """total / count, scalar float32; 0 where the count is 0."""
        return mx.where(self.count > 0, self.total / mx.where(self.count > 0, self.count, 1.0), 0.0)


def weighted_sum(losses: mx.array, weights: mx.array) -> LossSum:
    """Sums per-token losses under their weights.

    Args:
        losses: float32 [...].
        weights: real, integer or bool, of the same shape, none negative. Where a weight is 0 the loss is not looked
            at, be it infinite or NaN.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> weighted_sum(mx.array([1.0, 2.0, float("nan")]), mx.array([1.0, 0.5, 0.0]))
        LossSum(total=array(2, dtype=float32), count=array(1.5, dtype=float32))
    """
    if losses.shape != weights.shape:
        raise ValueError(f"weights are {weights.shape}, the losses {losses.shape}: give one weight per target")
    weights = mx.stop_gradient(weights).astype(mx.float32)
    return LossSum(mx.where(weights == 0, 0.0, losses * weights).sum(), weights.sum())
