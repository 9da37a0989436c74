"""The interface of a rule: which projections it adapts, by which layer, and how its adapter is written and read."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field

from tasks.artifact import Record

if TYPE_CHECKING:  # a configuration is decoded before MLX is imported
    import mlx.core as mx
    import mlx.nn as nn

    from tasks.lora.adapted import Adapted


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Rule(Record):
    """A rule of adaptation. It owns its layer: nobody outside this room knows what an adapter's parameters are called.

    A new rule is `conf/lora/x.yaml`, `tasks/lora/x.py`, `tests/lora/test_x.py` and its name in the room's union. It
    answers for `wrap`, `fine_tune_type`, `parameters` and `read`, and for `shaping` where the default is too careful.
    Its file imports mlx_lm only inside methods. How the usual ones go:

    - DoRA derives from `LowRank`, has `fine_tune_type = "dora"` and a layer that trains `m` too. `wrap` is given the
      frozen projection, so `m` starts as the norm of its (unpacked) rows; the strength multiplies B alone, inside the
      norm as well, so `Adapted.scaled` stays what it is for LoRA.
    - VeRA trains two vectors. Its shared matrices are drawn from a seed that is a field of the rule, not from `key`,
      and kept under names with a leading underscore: MLX counts those neither as the base's parameters nor as trained.
    - IA3 trains one vector of ones that multiplies the output; nothing is `scaled`, and `parameters` is empty. mlx-lm
      has no such layer, so `fine_tune_type = "ia3"` and the check `mlx_lm_logits` is not for it.
    - Full fine-tuning wraps nothing: `wrap` gives a layer in the projection's place, whose `trained` is its own
      float32 `weight`; `fine_tune_type = "full"`, for which mlx-lm loads the file onto the bare model.

    Attributes:
        targets: projections by name, one or a list, or `all` for every linear projection of the blocks.
        last_blocks: adapt only the last n blocks; None adapts all.
    """

    fine_tune_type: ClassVar[str]
    """What mlx-lm calls adapters of this layer, in `adapter_config.json`."""

    targets: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1, strict=False)] = ("all",)
    last_blocks: Annotated[int, Field(ge=1)] | None = None

    @abstractmethod
    def wrap(self, linear: nn.Module, key: mx.array) -> Adapted:
        """The adapted form of a projection of any type in `tasks.model.family.LINEAR`; at first it computes the same.

        Args:
            linear: the frozen projection; its arrays may be lazy, and stay so.
            key: the key of MLX's random numbers for whatever is drawn.
        """

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The entries of `lora_parameters` in `adapter_config.json`, apart from the keys of the projections."""

    @classmethod
    @abstractmethod
    def read(cls, parameters: dict[str, Any]) -> Rule:
        """The rule that attaches an adapter of `fine_tune_type`, ours or mlx-lm's, out of its `lora_parameters`.

        Raises:
            KeyError, TypeError, ValueError: one is missing or is no number.
        """

    @property
    def shaping(self) -> dict[str, Any]:
        """The settings of the rule that shape the memory of a training: all of them, unless a rule knows better.

        Two trainings whose rules agree in them are predicted once. A rule's own strength, for instance, costs no byte.
        """
        return self.model_dump(mode="json")

    @property
    def label(self) -> str:
        """A short name for log lines and the title of the stage."""
        return type(self).__name__

    def over(self, targets: tuple[str, ...], last_blocks: int | None) -> Self:
        """The rule for other projections."""
        return self.model_copy(update={"targets": targets, "last_blocks": last_blocks})
