"""Cross entropy over the tokens that are to be learned: the assistant's turns, not the user's.

A weight may be any real number, so that a turn can count half; the count is the sum of the weights. The result
equals the cross entropy of the tokens left when those of weight 0 are taken out.
"""

from typing import ClassVar, Literal

import mlx.core as mx

from tasks.loss.entropy import Entropy
from tasks.loss.sums import LossSum, weighted_sum
from tasks.loss.token_cross_entropy import token_cross_entropy


def masked_cross_entropy(logits: mx.array, targets: mx.array, mask: mx.array) -> LossSum:
    """The sum of mask * -log softmax(logits)[target], and the sum of the mask.

    Args:
        logits: [..., V], any floating dtype; computed in float32.
        targets: integers [...] in [0, V), masked ones too.
        mask: weights [...], real or bool, none negative. All zero gives total 0 and count 0, never NaN.

    Raises:
        ValueError: the shapes do not belong together.

    Example:
        >>> masked_cross_entropy(mx.zeros((1, 3, 4)), mx.array([[1, 2, 3]]), mx.array([[0.0, 1.0, 0.5]]))
        LossSum(total=array(2.07944, dtype=float32), count=array(1.5, dtype=float32))
    """
    return weighted_sum(token_cross_entropy(logits, targets), mask)


class MaskedCrossEntropy(Entropy):
    """The loss as configured: `conf/loss/masked_cross_entropy.yaml`; the default for chat and completions."""

    supervised_only: ClassVar[bool] = True

    kind: Literal["masked_cross_entropy"] = "masked_cross_entropy"
