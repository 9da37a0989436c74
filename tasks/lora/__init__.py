"""LoRA: the rules (`rule` says what one answers for), the layers that they wrap (`layers`), attaching them (`attach`).

Only the rules are imported here, so that decoding a configuration stays light; take the rest from its file.
"""

from typing import Annotated

from pydantic import Field

from tasks.artifact import kinds
from tasks.lora.lora import LoRA
from tasks.lora.rslora import RsLoRA
from tasks.lora.rule import Rule

AnyRule = Annotated[LoRA | RsLoRA, Field(discriminator="kind")]
"""A configured rule. A new one is named here, and nowhere else."""

RULES: dict[str, type[AnyRule]] = kinds(AnyRule)
"""The kinds of the `lora` config group."""

__all__ = ["RULES", "AnyRule", "LoRA", "RsLoRA", "Rule"]
