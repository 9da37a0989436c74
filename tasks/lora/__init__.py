"""LoRA: the rules that say how strong and how large, the wrapped layers (`layers`), attaching them (`attach`).

Only the rules are imported here, so that decoding a configuration stays light; take the rest from its file.
"""

from tasks.lora.lora import LoRA
from tasks.lora.rslora import RsLoRA
from tasks.lora.rule import Rule

RULES: dict[str, type[Rule]] = {"lora": LoRA, "rslora": RsLoRA}
"""The kinds of the `lora` config group."""

__all__ = ["RULES", "LoRA", "RsLoRA", "Rule"]
