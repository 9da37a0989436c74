"""A stage as a Prefect task that ends as it ended: what a signal, a window or a pruner stops is no failure there."""

from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from pipelines.orchestrate.outcome import Outcome, outcome
from pipelines.orchestrate.suspension import stopping_when_suspended
from tasks.errors import GraftlineError, Interrupted, Paused, Pruned

PAUSED = "Paused"
"""The name of a run's state when its window has closed; of the type Cancelled, so that nothing alerts anybody."""


def as_state(stopped: Interrupted | Pruned) -> State[Any]:
    """The state of a task or a flow that was stopped well.

    Example:
        >>> as_state(Pruned("step 2 of 4")).name
        'Pruned'
    """
    if isinstance(stopped, Pruned):
        return Completed(name="Pruned", message=str(stopped))
    return Cancelled(name=PAUSED if isinstance(stopped, Paused) else None, message=str(stopped))


def as_task(stage: Task[..., Any]) -> Callable[..., Any]:
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

    def call(*arguments: Any, **named: Any) -> Any:
        found = task(*arguments, **named)
        if stopped:
            raise stopped[0]
        return found

    return call


def as_function(stage: Task[..., Any]) -> Callable[..., Any]:
    """The stage as a plain function, without Prefect."""
    return stage.fn


def concluded(body: Callable[[Outcome], Any]) -> Any:
    """What the body of a flow gives, or the state of one that was stopped well; what ended it is kept in its outcome.

    Args:
        body: is given the outcome, to put its report into.

    Raises:
        GraftlineError: what the body raised, but for a stop.
    """
    came_to = outcome()
    try:
        with stopping_when_suspended():
            return body(came_to)
    except Interrupted as stopped:
        came_to.error = stopped
        return as_state(stopped)
    except GraftlineError as error:
        came_to.error = error
        raise
