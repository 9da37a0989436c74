"""What every LoRA rule has in common: its size, its strength, and which projections it adapts."""

from abc import abstractmethod
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from tasks.artifact import Record


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Rule(Record):
    """A LoRA rule: y = W x + scale * B (A x), with W frozen.

    Attributes:
        rank: inner size of the update, 1 to 1024.
        alpha: numerator of the strength; see `scale`.
        dropout: share of the inputs of A that is zeroed in training.
        targets: projections by name, one or a list, or `all` for every linear projection of the blocks.
        last_blocks: adapt only the last n blocks; None adapts all.
    """

    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    alpha: Annotated[float, Field(gt=0)] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1, strict=False)] = ("all",)
    last_blocks: Annotated[int, Field(ge=1)] | None = None

    @property
    @abstractmethod
    def scale(self) -> float:
        """The factor of the update."""
