"""The recipe of a training: everything that shapes its result apart from the base and the rows, as one record."""

from typing import Literal

from tasks.artifact import Record
from tasks.batch import AnyLayout
from tasks.errors import ConfigError
from tasks.lora import AnyRule
from tasks.loss import AnyLoss
from tasks.memory import Memory
from tasks.optim import AnyOptimizer
from tasks.settings import Train


class Recipe(Record):
    """The settings of one training: made by `Run.recipe()`, agreed by the plan, taken by the training.

    Attributes:
        rule: the LoRA rule.
        layout: how examples become batches.
        loss: what is summed.
        optim: the optimizer and its schedule.
        memory: limits, gradient checkpointing, how many logits at a time.
        train: accumulation, validation, checkpoints.
        seed: seeds the order of the rows and dropout.
        steps: optimizer steps of the whole run; 0 until the plan has counted them.
    """

    rule: AnyRule
    layout: AnyLayout
    loss: AnyLoss
    optim: AnyOptimizer
    memory: Memory
    train: Train
    seed: int
    steps: int = 0

    def check_rows(self, valid: bool) -> None:
        """Refuses settings that go by the validation loss where no row is validated on.

        Raises:
            ConfigError: naming the setting.
        """
        if not valid and (setting := self.train.by_validation):
            raise ConfigError(
                f"train.{setting} goes by the validation loss, and there are no validation rows; give data.valid or "
                "data.valid_share"
            )

    def ended(self, step: int, since_best: int) -> Literal["steps", "patience"] | None:
        """Why training ends after this step; None where it goes on.

        Args:
            step: steps done.
            since_best: validations since the one of the lowest loss.
        """
        if step == self.steps:
            return "steps"
        patience = self.train.patience
        return "patience" if patience is not None and since_best >= patience else None

    def due(self, step: int, every: int | None) -> bool:
        """Whether what is done `every` so many steps is due after this one; it always is after the last step."""
        return step == self.steps or (every is not None and step % every == 0)
