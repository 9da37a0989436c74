"""Settings of the stages themselves: how long to train, what to plan, evaluate and verify."""

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.artifact import Record

Check = Literal[
    "files", "reload_logits", "resave_bytes", "frozen_base", "mlx_lm_logits", "adjoint", "checkpoint_gradients"
]
"""The checks of a verdict, by name; each is a file of tasks/check. A new one is named here, and nowhere else."""


class Train(Record):
    """The training loop's settings: how long, and how often it validates and saves.

    Attributes:
        steps: optimizer steps; give this or `epochs`, or neither for one epoch.
        epochs: passes over the training examples.
        accumulate: batches whose summed gradients make one step; the last step of an epoch takes those that are left.
        eval_every: steps between validations; None validates at the end only.
        eval_batches: the most batches of one validation; None takes all.
        save_every: steps between checkpoints; None saves at the end only.
        keep: how many of the newest checkpoints stay.
        keep_best: whether a step whose validation loss is the lowest so far is saved too, and stays.
        keep_every: checkpoints of a step that is a multiple of it stay too; None adds none.
        patience: validations in a row without a new lowest loss after which the run ends; None goes to the last step.
            The learning rate takes no notice.
        final: the step whose adapter is the result: the `last`, or the `best` by validation loss; its checkpoint stays.
        on_bad: the policy for a step whose loss or gradient is not finite, which never updates the adapter: `stop`,
            `skip` it and count it, or `restore` the newest checkpoint (or the start) and go on from there at a lower
            rate. Either way bad_batch.json names its examples.
        backoff: the factor of the learning rate from each restore to the end.
        spike: a step is a spike, noticed and counted, where its loss is above the median of the steps before it by so
            many of their standard deviations (a robust estimate); None notices none.
        compile: one graph a shape for the whole step; None compiles on a GPU, and not on a CPU, where MLX would call
            g++ at run time.
    """

    steps: Annotated[int, Field(ge=1)] | None = None
    epochs: Annotated[float, Field(gt=0)] | None = None
    accumulate: Annotated[int, Field(ge=1)] = 1
    eval_every: Annotated[int, Field(ge=1)] | None = None
    eval_batches: Annotated[int, Field(ge=1)] | None = None
    save_every: Annotated[int, Field(ge=1)] | None = None
    keep: Annotated[int, Field(ge=1)] = 2
    keep_best: bool = False
    keep_every: Annotated[int, Field(ge=1)] | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    final: Literal["last", "best"] = "last"
    on_bad: Literal["stop", "skip", "restore"] = "stop"
    backoff: Annotated[float, Field(gt=0, lt=1)] = 0.5
    spike: Annotated[float, Field(gt=0)] | None = 10.0
    compile: bool | None = None

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.steps is not None and self.epochs is not None:
            raise ValueError(f"give steps or epochs, not both; got steps={self.steps}, epochs={self.epochs}")
        return self

    @model_validator(mode="after")
    def _validates(self) -> Self:
        if self.by_validation and self.eval_every is None:
            raise ValueError(
                f"{self.by_validation} goes by the validation loss; give eval_every, the steps between two"
            )
        return self

    @property
    def by_validation(self) -> str:
        """The setting that has no meaning without validations, as a person writes it; empty where there is none."""
        return f"patience={self.patience}" if self.patience is not None else "final=best" * (self.final == "best")

    @property
    def keeps_best(self) -> bool:
        """Whether the checkpoint of the lowest validation loss stays."""
        return self.keep_best or self.final == "best"

    def total_steps(self, batches: Callable[[int], int]) -> int:
        """Optimizer steps of the whole run; the last step of an epoch takes the batches that are left.

        Args:
            batches: how many an epoch has, by its number.

        Example:
            >>> Train(epochs=1.5, accumulate=2).total_steps(lambda epoch: 9)
            7
        """
        if self.steps is not None:
            return self.steps
        epochs = 1.0 if self.epochs is None else self.epochs
        whole = int(epochs)
        taken = [batches(epoch) for epoch in range(whole)]
        if epochs > whole:
            taken.append(round((epochs - whole) * batches(whole)))
        return max(1, sum(-(-count // self.accumulate) for count in taken))


class Planning(Record):
    """Further measurements of the plan.

    Attributes:
        probe: whether it takes a real training step on the heaviest batch, which reads the weights, and goes by that
            step's peak instead of the predicted one.
        longest_row: whether the plan command prints the longest row that the budget trains, and nothing else.
    """

    probe: bool = False
    longest_row: bool = False


class Evaluate(Record):
    """Measurements on held-out examples, base against adapter.

    Attributes:
        examples: the most held-out examples to score; None takes all; 0 scores nothing, and needs no held-out rows.
        generate: the most of them to answer in full; 0 measures the loss alone.
        samples: how many answers the report shows.
        max_new_tokens: the most tokens of an answer; longer ones are cut.
        metric: `exact_match` is the share of answers equal to the reference, outer white space aside.
    """

    examples: Annotated[int, Field(ge=0)] | None = None
    generate: Annotated[int, Field(ge=0)] = 64
    samples: Annotated[int, Field(ge=0)] = 8
    max_new_tokens: Annotated[int, Field(ge=1)] = 128
    metric: Literal["exact_match"] = "exact_match"


class Verify(Record):
    """The checks that an adapter must pass.

    Attributes:
        checks: the names of the checks, in the order in which they run.
        probe_tokens: length of the row of real tokens on which logits are recorded and compared.
    """

    checks: Annotated[tuple[Check, ...], Field(min_length=1)]
    probe_tokens: Annotated[int, Field(ge=2)] = 512
