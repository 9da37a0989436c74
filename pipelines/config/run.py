"""The record of a run: the top-level keys of the configuration, each decoded strictly."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipelines.config.window import check_window
from tasks.artifact import Record
from tasks.batch import AnyLayout
from tasks.data import Data
from tasks.lora import AnyRule
from tasks.loss import AnyLoss
from tasks.memory import Memory
from tasks.model import Model
from tasks.optim import AnyOptimizer
from tasks.settings import Evaluate, Planning, Train, Verify
from tasks.sink import SinkName
from tasks.step import Recipe


class Run(Record):
    """Everything that a run is made of; the top-level keys of the configuration."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    run_dir: Annotated[str, Field(min_length=1)] | None
    resume: Literal["auto", "never", "extend"]
    gpu_lock: Literal["wait", "fail"]
    window: Annotated[str, AfterValidator(check_window)] | None = None
    orchestrate: bool
    sinks: tuple[SinkName, ...]
    model: Model
    data: Data
    batch: AnyLayout
    lora: AnyRule
    loss: AnyLoss
    optim: AnyOptimizer
    memory: Memory
    train: Train
    evaluate: Evaluate
    verify: Verify
    plan: Planning = Planning()

    def recipe(self) -> Recipe:
        """What shapes the training, as asked; the plan agrees on its layout, memory, accumulation and steps."""
        return Recipe(
            rule=self.lora,
            layout=self.batch,
            loss=self.loss,
            optim=self.optim,
            memory=self.memory,
            train=self.train,
            seed=self.seed,
        )
