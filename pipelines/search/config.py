"""Decodes the `sweep` key of a configuration: the space, the sampler, the objective, the budget."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tasks.artifact import Record

When = dict[str, Any]
"""A condition: other keys of the space, each with the value or values under which this key is tried at all."""


class Categorical(Record):
    """A choice from a list: numbers, strings, booleans, null, lists; or names of files of a group of conf/.

    Attributes:
        choices: the values to choose from.
        when: the values of other keys under which it is tried.
    """

    kind: Literal["categorical"]
    choices: Annotated[tuple[Any, ...], Field(min_length=1)]
    when: When = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if repeated := [choice for n, choice in enumerate(self.choices) if choice in self.choices[:n]]:
            raise ValueError(f"{repeated[0]!r} stands in choices twice")
        return self


class Int(Record):
    """A whole number of a range, both ends included.

    Attributes:
        low: the smallest value.
        high: the largest value.
        step: the distance between neighbours; 1 where `log` is set.
        log: whether its logarithm is drawn evenly.
        when: the values of other keys under which it is tried.
    """

    kind: Literal["int"]
    low: int
    high: int
    step: Annotated[int, Field(ge=1)] = 1
    log: bool = False
    when: When = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        _check_range(self.low, self.high, None if self.step == 1 else self.step, self.log)
        return self


class Float(Record):
    """A number of a range, both ends included.

    Attributes:
        low: the smallest value.
        high: the largest value.
        step: the distance between neighbours; None for any number between.
        log: whether its logarithm is drawn evenly, as a learning rate's should be.
        when: the values of other keys under which it is tried.
    """

    kind: Literal["float"]
    low: float
    high: float
    step: Annotated[float, Field(gt=0)] | None = None
    log: bool = False
    when: When = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        _check_range(self.low, self.high, self.step, self.log)
        return self


Parameter = Categorical | Int | Float
PARAMETERS: dict[str, type[Parameter]] = {"categorical": Categorical, "int": Int, "float": Float}
"""The kinds of a key of the space."""


class TPE(Record):
    """Draws where good trials were likelier than others (tree-structured Parzen estimator).

    Attributes:
        seed: the seed of every draw; with one worker, the same seed tries the same trials.
        startup: trials drawn at random before it begins to learn.
    """

    kind: Literal["tpe"] = "tpe"
    seed: Annotated[int, Field(ge=0)] = 0
    startup: Annotated[int, Field(ge=0)] = 10


class Random(Record):
    """Draws each trial by itself."""

    kind: Literal["random"]
    seed: Annotated[int, Field(ge=0)] = 0


class Grid(Record):
    """Tries every combination once, the last key of the space changing fastest; a float needs a step."""

    kind: Literal["grid"]


class Unpruned(Record):
    """Stops no trial early."""

    kind: Literal["none"] = "none"


class Median(Record):
    """Stops a trial whose best validation loss so far is above the median of the others' at that step.

    Attributes:
        startup: trials that run to their end before any is stopped.
        warmup: steps of a trial before it may be stopped.
    """

    kind: Literal["median"]
    startup: Annotated[int, Field(ge=1)] = 5
    warmup: Annotated[int, Field(ge=0)] = 0


class Halving(Record):
    """Lets one in `factor` of the trials continue at each rung (asynchronous successive halving).

    Attributes:
        first: steps to the first rung; the next is `factor` times as far.
        factor: the number of trials at a rung of which one continues.
    """

    kind: Literal["halving"]
    first: Annotated[int, Field(ge=1)]
    factor: Annotated[int, Field(ge=2)] = 4


class Budget(Record):
    """The end of a search: whichever limit is reached first.

    Attributes:
        trials: how many are tried, those that were stopped or failed counted too.
        hours: hours of work, summed over the workers; no trial begins after that, and those begun are finished.
    """

    trials: Annotated[int, Field(ge=1)] | None = None
    hours: Annotated[float, Field(gt=0)] | None = None


class Sweep(Record):
    """The settings of a search.

    Attributes:
        study: its name, and that of its folder under outputs/sweeps.
        space: the values to try, by key of a run; see `PARAMETERS`.
        sampler: how values are drawn.
        pruner: how trials are stopped early, by their validation loss.
        objective: the number of report.json that trials are judged by, as in `evaluate.loss_after`.
        direction: whether less or more of it is better.
        budget: when the search ends; a grid needs none.
        storage: sqlite:///FILE or postgresql://...; None for study.db in the folder. Workers on several machines share
            a PostgreSQL.
        trial: overrides for the trials alone, of `evaluate` and `verify`, so that those that lose cost less. The best
            adapter is evaluated and verified as the run says.
        grace: seconds without a sign of life after which another machine's worker counts as dead.
        attempts: how many times a trial may take its worker with it before it counts as failed.
    """

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    space: Annotated[dict[str, Parameter], Field(min_length=1)]
    sampler: Annotated[TPE | Random | Grid, Field(discriminator="kind")] = TPE()
    pruner: Annotated[Unpruned | Median | Halving, Field(discriminator="kind")] = Unpruned()
    objective: str = "evaluate.loss_after"
    direction: Literal["minimize", "maximize"] = "minimize"
    budget: Budget = Budget()
    storage: str | None = None
    folder: Annotated[str, Field(min_length=1)] | None = None
    trial: tuple[str, ...] = ()
    grace: Annotated[float, Field(gt=0)] = 120.0
    attempts: Annotated[int, Field(ge=1)] = 10


def _check_range(low: float, high: float, step: float | None, log: bool) -> None:
    if low >= high:
        raise ValueError(f"low={low} is not below high={high}")
    if log and low <= 0:
        raise ValueError(f"log over {low} to {high} goes through zero; give a low above 0, or log: false")
    if log and step is not None:
        raise ValueError(f"log and step={step} exclude each other; leave one out")
