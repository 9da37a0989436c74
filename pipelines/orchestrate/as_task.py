"""Wraps a stage as a Prefect task; one that a signal, a window or a pruner stops ends as Cancelled, not Failed."""

from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any, Protocol, TypeVar

from prefect import Task
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from pipelines.orchestrate.outcome import Outcome, current_outcome
from pipelines.orchestrate.suspension import stopping_when_suspended
from tasks.errors import GraftlineError, Interrupted, Paused, Pruned

R = TypeVar("R")

PAUSED = "Paused"
"""The name of a run's state when its window has closed; of the type Cancelled, so that nothing alerts anybody."""


class AsStage(Protocol):
    """How a run calls its stages: as tasks of a flow (`as_task`), or as plain functions (`as_function`)."""

    def __call__(self, stage: Task[..., R], /) -> Callable[..., R]:
        """The stage, to be called with its own arguments; it gives what its function gives."""
        ...


def as_state(stopped: Interrupted | Pruned) -> State[Any]:
    """The state of a task or a flow that was stopped well.

    Example:
        >>> as_state(Pruned("step 2 of 4")).name
        'Pruned'
    """
    if isinstance(stopped, Pruned):
        return Completed(name="Pruned", message=str(stopped))
    return Cancelled(name=PAUSED if isinstance(stopped, Paused) else None, message=str(stopped))


def as_task(stage: Task[..., R]) -> Callable[..., R]:
    """The stage as it is called in a flow; it raises what its function raises.

    Prefect takes every exception for a failure. One that stops a stage well is a state to it, and raised after that.
    """
    stopped: list[Interrupted | Pruned] = []

    @wraps(stage.fn)
    def body(*arguments: Any, **named: Any) -> Any:
        try:
            return stage.fn(*arguments, **named)
        except (Interrupted, Pruned) as error:
            stopped.append(error)
            return as_state(error)

    task = copy(stage)
    task.fn = body

    def call(*arguments: Any, **named: Any) -> R:
        result = task(*arguments, **named)
        if stopped:
            raise stopped[0]
        return result

    return call


def as_function(stage: Task[..., R]) -> Callable[..., R]:
    """The stage as a plain function, without Prefect."""
    return stage.fn


def run_body(body: Callable[[Outcome], R]) -> R | State[Any]:
    """Runs the body of a flow; gives its result, or the state of one that was stopped well.

    The outcome keeps the error.

    Args:
        body: is given the outcome, to put its report into.

    Raises:
        GraftlineError: what the body raised, but for a stop.
    """
    outcome = current_outcome()
    try:
        with stopping_when_suspended():
            return body(outcome)
    except Interrupted as stopped:
        outcome.error = stopped
        return as_state(stopped)
    except GraftlineError as error:
        outcome.error = error
        raise
