"""The settings shared by the two cross entropies: label smoothing and z-loss; they differ in the tokens they count."""

import mlx.core as mx
from pydantic import Field

from tasks.artifact import Record
from tasks.loss.sums import LossSum, weighted_sum
from tasks.loss.token_cross_entropy import token_cross_entropy


class Entropy(Record):
    """The settings of a cross entropy, and the loss that they make.

    Attributes:
        label_smoothing: share of the target's probability that is spread over the whole vocabulary, in [0, 1).
        z_loss: weight of the squared log-normalizer, e.g. 1e-4; 0 is off.
    """

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    z_loss: float = Field(default=0.0, ge=0)

    def per_token(self, logits_NV: mx.array, targets_N: mx.array) -> mx.array:
        """The loss of each token, float32 [N], in nats; each depends on its own row of logits alone."""
        return token_cross_entropy(logits_NV, targets_N, label_smoothing=self.label_smoothing, z_loss=self.z_loss)

    def __call__(self, logits: mx.array, targets: mx.array, weights: mx.array) -> LossSum:
        """The sum over logits [..., V], targets [...] and weights [...]."""
        return weighted_sum(self.per_token(logits, targets), weights)
