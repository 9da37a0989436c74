"""Rank-stabilised LoRA, Kalajdzievski (2023), https://arxiv.org/abs/2312.03732: the strength is alpha / sqrt(rank)."""

import math
from typing import Literal

from tasks.lora.low_rank import LowRank


class RsLoRA(LowRank):
    """LoRA whose update keeps its size as the rank grows.

    Example:
        >>> RsLoRA(rank=16, alpha=8.0).scale
        2.0
    """

    kind: Literal["rslora"] = "rslora"

    @property
    def scale(self) -> float:
        """alpha / sqrt(rank)."""
        return self.alpha / math.sqrt(self.rank)
