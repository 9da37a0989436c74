"""Squared error. On a language model it is the Brier score: bounded, so a few wrong labels cannot dominate.

Brier (1950), "Verification of forecasts expressed in terms of probability": the squared distance between the
predicted distribution and the one-hot target. It lies in [0, 2], and 0 means certain and right.
"""

from typing import ClassVar, Literal

import mlx.core as mx

from tasks.artifact import Record
from tasks.loss.sums import LossSum, weighted_sum
from tasks.loss.token_cross_entropy import check_targets, target_entries


def mse(predictions: mx.array, targets: mx.array) -> LossSum:
    """The sum of (predictions - targets)**2 over all entries, and their number, in float32.

    Args:
        predictions: [...], any floating dtype.
        targets: of the same shape, any real dtype.

    Raises:
        ValueError: the shapes differ; they are not broadcast.

    Example:
        >>> mse(mx.array([1.0, 2.0]), mx.array([1.0, 4.0])).mean.item()
        2.0
    """
    if predictions.shape != targets.shape:
        raise ValueError(f"predictions are {predictions.shape}, targets {targets.shape}: they must be alike")
    squares = (predictions.astype(mx.float32) - targets.astype(mx.float32)).square()
    return LossSum(squares.sum(), mx.array(float(squares.size)))


class MSE(Record):
    """The Brier score as configured: `conf/loss/mse.yaml`."""

    supervised_only: ClassVar[bool] = True

    kind: Literal["mse"] = "mse"

    def per_token(self, logits_NV: mx.array, targets_N: mx.array) -> mx.array:
        """|softmax(logits) - onehot(target)|**2 of each token, float32 [N].

        With p the softmax this is sum(p**2) - 2 * p[target] + 1, so no one-hot array is built. Rounding leaves an
        absolute error of about 1e-7, below zero at times.

        Example:
            >>> MSE().per_token(mx.zeros((1, 4)), mx.array([2])).item()  # 4/16 - 2/4 + 1
            0.75
        """
        check_targets(logits_NV, targets_N)
        p_NV = mx.softmax(logits_NV.astype(mx.float32), axis=-1)
        return p_NV.square().sum(axis=-1) - 2 * target_entries(p_NV, targets_N) + 1

    def __call__(self, logits: mx.array, targets: mx.array, weights: mx.array) -> LossSum:
        """The sum over logits [..., V], targets [...] and supervision weights [...]."""
        return weighted_sum(self.per_token(logits, targets), weights)
