"""Low-rank rules, y = W x + scale * B (A x): the layer and file format shared by LoRA and variants of its strength."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tasks.lora.rule import Rule

if TYPE_CHECKING:
    import mlx.core as mx
    import mlx.nn as nn

    from tasks.lora.adapted import Adapted


class LowRank(Rule):
    """A low-rank update of each projection, W frozen.

    Attributes:
        rank: inner size of the update, 1 to 1024.
        alpha: numerator of the strength; see `scale`.
        dropout: share of the inputs of A that is zeroed in training.
    """

    fine_tune_type: ClassVar[str] = "lora"

    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    alpha: Annotated[float, Field(gt=0)] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    @abstractmethod
    def scale(self) -> float:
        """The factor of the update."""

    def wrap(self, linear: nn.Module, key: mx.array) -> Adapted:
        """The projection beside an A that is drawn from `key` and a B that is zero."""
        from tasks.lora.layers import wrap  # imports mlx_lm, which takes seconds

        return wrap(linear, rank=self.rank, scale=self.scale, dropout=self.dropout, key=key)

    @property
    def parameters(self) -> dict[str, Any]:
        """The three parameters that mlx-lm reads."""
        return {"rank": self.rank, "scale": self.scale, "dropout": self.dropout}

    @classmethod
    def read(cls, parameters: dict[str, Any]) -> Stored:
        """The rule of a file, whichever formula its strength came from; no dropout, which is for training."""
        return Stored(rank=int(parameters["rank"]), strength=float(parameters["scale"]))

    @property
    def shaping(self) -> dict[str, Any]:
        """All fields but the strength; dropout only as whether there is any."""
        asked = self.model_dump(mode="json", include={"rank", "targets", "last_blocks"})
        return {"layer": self.fine_tune_type, "dropout": self.dropout > 0, **asked}

    @property
    def label(self) -> str:
        """The rank, for log lines."""
        return f"rank {self.rank}"


class Stored(LowRank):
    """The rule of an adapter's file, which names the strength itself: alpha would have to be guessed, and rounded.

    Example:
        >>> LowRank.read({"rank": 8, "scale": 20.0, "dropout": 0.1}).scale
        20.0
    """

    rank: int = 8  # a file's may be of any size
    strength: float = 1.0

    @property
    def scale(self) -> float:
        """The strength in the file."""
        return self.strength
