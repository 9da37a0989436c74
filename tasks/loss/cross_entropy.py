"""Cross entropy over every real token: the loss of pre-training and of plain text.

It asks for no supervision mask: the caller weighs each real token 1 and padding 0. `masked_cross_entropy` is the
sum over supervised tokens only.
"""

from typing import ClassVar, Literal

import mlx.core as mx

from tasks.loss.entropy import Entropy
from tasks.loss.sums import LossSum, weighted_sum
from tasks.loss.token_cross_entropy import token_cross_entropy


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


class CrossEntropy(Entropy):
    """The loss as configured: `conf/loss/cross_entropy.yaml`. Its weights are 1 for each real token, 0 for padding."""

    supervised_only: ClassVar[bool] = False

    kind: Literal["cross_entropy"] = "cross_entropy"
