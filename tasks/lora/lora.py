"""LoRA as Hu et al. (2021), https://arxiv.org/abs/2106.09685, define it: the strength is alpha / rank."""

from typing import Literal

from tasks.lora.low_rank import LowRank


class LoRA(LowRank):
    """Plain LoRA.

    Example:
        >>> LoRA(rank=8, alpha=16.0).scale
        2.0
    """

    kind: Literal["lora"] = "lora"

    @property
    def scale(self) -> float:
        """alpha / rank."""
        return self.alpha / self.rank
