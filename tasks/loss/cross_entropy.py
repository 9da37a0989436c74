"""Cross entropy over every real token: the loss of pre-training and of plain text.

It asks for no supervision mask: the caller weighs each real token 1 and padding 0. `masked_cross_entropy` is the
same number over supervised tokens only.
"""

from typing import ClassVar, Literal

import mlx.core as mx
from pydantic import Field

from tasks.artifact import Record
from tasks.loss.sums import LossSum, weighted_sum
from tasks.loss.tokens import token_cross_entropy


def cross_entropy(logits: mx.array, targets: mx.array) -> LossSum:
    """The sum of -log softmax(logits)[target] over all targets, and their number.

    Args:
        logits: [..., V], any floating dtype; computed in float32.
        targets: integers [...] in [0, V).

    Raises:
        ValueError: the shapes do not belong together.

    Example:
        >>> cross_entropy(mx.zeros((2, 3, 4)), mx.zeros((2, 3), mx.int32)).mean.item()  # log 4
        1.3862943649291992
    """
    return weighted_sum(token_cross_entropy(logits, targets), mx.ones(targets.shape))


class CrossEntropy(Record):
    """The loss as configured: `conf/loss/cross_entropy.yaml`.

    Attributes:
        label_smoothing: share of the target's probability that is spread over the whole vocabulary, in [0, 1).
        z_loss: weight of the squared log-normalizer, e.g. 1e-4; 0 is off.
    """

    supervised_only: ClassVar[bool] = False

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    z_loss: float = Field(default=0.0, ge=0)

    def per_token(self, logits_NV: mx.array, targets_N: mx.array) -> mx.array:
        """The loss of each token, float32 [N], in nats; each depends on its own row of logits alone."""
        return token_cross_entropy(logits_NV, targets_N, label_smoothing=self.label_smoothing, z_loss=self.z_loss)

    def __call__(self, logits: mx.array, targets: mx.array, weights: mx.array) -> LossSum:
        """The sum over logits [..., V], targets [...] and weights [...]: 1 for each real token, 0 for padding."""
        return weighted_sum(self.per_token(logits, targets), weights)
