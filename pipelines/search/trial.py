"""Runs one trial in a directory of its own, watched by the pruner, and judges its outcome."""

import logging
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from optuna.trial import TrialState

from pipelines.config import Run, compose_variant
from pipelines.config.override import override
from pipelines.orchestrate.as_task import AsStage
from pipelines.run.stages import run_stages
from pipelines.search import space
from pipelines.search.lease import Beat, TakenOver
from pipelines.search.objective import value_of
from pipelines.search.patient_rdb import FAILURES
from pipelines.search.search import Search
from pipelines.search.storage import StorageError
from pipelines.search.study import Claimed, Study
from pipelines.search.would_fit import would_fit
from tasks.artifact import Record, disk_problem
from tasks.errors import ConfigError, DataError, GraftlineError, Interrupted, ModelError, Pruned, TargetError
from tasks.memory import GB
from tasks.sink import Sink, SinkContext, Status, StepMetrics
from tasks.verify import Verdict

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Outcome(Record):
    """The outcome of a trial.

    Attributes:
        state: `complete`; `pruned`, by its validation loss; `infeasible`, since its settings cannot be run; `failed`.
        value: the objective's value; None unless it is complete.
        detail: why it is not complete, or which trial has run its settings before.
    """

    state: Literal["complete", "pruned", "infeasible", "failed"]
    value: float | None = None
    detail: str = ""


class Watch:
    """A sink that reports each validation to the study, and ends the training when the pruner says so.

    Args:
        study: the study of the trial.
        claimed: the trial.
        beat: whether it is still this worker's.
        maximize: whether the study's direction is up: Optuna reads what is reported in the same direction.
        total: steps of the whole run; one that has done them all is not stopped.
    """

    def __init__(self, study: Study, claimed: Claimed, beat: Beat, *, maximize: bool, total: int):
        self._trial, self._beat, self._total = claimed.trial, beat, total
        self._sign = -1 if maximize else 1
        self._reported = {*study.optuna.get_trials(deepcopy=False)[claimed.trial.number].intermediate_values}

    def write(self, metrics: StepMetrics) -> None:
        """Reports a step that validated; one that a resumed trial has reported before is not reported again.

        Raises:
            Pruned: it is not worth going on with.
            TakenOver: another worker has the trial now.
            StorageError: the storage does not answer.
        """
        self._beat.check()
        if metrics.valid_loss is None:
            return
        if metrics.step not in self._reported:
            self._trial.report(self._sign * metrics.valid_loss, metrics.step)
        if metrics.step < self._total and self._trial.should_prune():
            raise Pruned(f"step {metrics.step} of {self._total}, validation loss {metrics.valid_loss:.4f}")

    def close(self, _status: Status) -> None:
        """Nothing is left open."""


def prepare(search: Search, study: Study, claimed: Claimed, values: space.Values) -> Run | Outcome:
    """The run of a trial; its outcome instead, where that is known without running it.

    Args:
        search: the search.
        study: the study that the outcome is recorded in.
        claimed: the trial; one that is resumed is known to fit its budget.
        values: the values that it tries.

    Raises:
        GraftlineError: as `run_trial`.
    """
    number, attempts = claimed.trial.number, search.sweep.attempts
    if claimed.claims > attempts:
        return Outcome(state="failed", detail=f"it took its worker with it {attempts} times in a row")
    if (twin := study.twin(claimed.trial)) is not None:
        known = Outcome.model_validate(twin.user_attrs["outcome"])
        return known.model_copy(update={"detail": f"trial {twin.number} tried the same values"})
    resume = f"resume={'auto' if claimed.resumed else 'never'}"

    def ask() -> Run | Outcome:
        placed = [override("run_dir", str(search.trial_folder(number))), resume]
        run = compose_variant(search.changes({}), [*space.overrides(values), *placed])
        if claimed.resumed or run.plan.probe or (asked := would_fit(run)).fits:
            return run
        needed, budget = asked.peak_bytes / GB, asked.budget_bytes / GB
        return Outcome(state="infeasible", detail=f"the run would need {needed:.3g} GB, the budget is {budget:.3g} GB")

    return _settled(search, study, number, ask)


def run_trial(
    search: Search,
    study: Study,
    claimed: Claimed,
    beat: Beat,
    run: Run,
    values: space.Values,
    as_stage: AsStage,
) -> Outcome:
    """Runs a trial to its end, from its own checkpoint if it has one.

    Args:
        search: the search.
        study: the study that the outcome is recorded in.
        claimed: the trial.
        beat: tells whether the trial is still this worker's.
        run: the trial's run, as `prepare` returned it.
        values: the values that it tries.
        as_stage: as for `run_stages`.

    Raises:
        Interrupted: a signal came; a checkpoint was written first.
        TakenOver: another worker has the trial now.
        GraftlineError: an error that every other trial would have too, such as a full disk or a missing model.
    """
    sweep = search.sweep

    def watch(training: SinkContext) -> Sink:
        return Watch(study, claimed, beat, maximize=sweep.direction == "maximize", total=training.last)

    def stages() -> Outcome:
        search.trial_folder(claimed.trial.number).mkdir(parents=True, exist_ok=True)  # so that a failed one's log stays
        return _judged(run_stages(run, search.changes(values), as_stage, (watch,)), sweep.objective)

    return _settled(search, study, claimed.trial.number, stages)


def _settled(search: Search, study: Study, number: int, work: Callable[[], Result]) -> Result | Outcome:
    """The result of `work`, or the outcome of the trial where the error is this trial's alone."""
    try:
        return work()
    except (Interrupted, TakenOver, StorageError, *FAILURES):
        raise
    except Pruned as pruned:
        return Outcome(state="pruned", detail=str(pruned))
    except (ConfigError, TargetError) as error:
        return Outcome(state="infeasible", detail=str(error))
    except (DataError, ModelError) as error:
        if not any(key.split(".")[0] in ("data", "model") for key in search.sweep.space):
            raise
        return Outcome(state="infeasible", detail=str(error))
    except Exception as error:
        study.storage.check()
        if disk_problem(error, search.folder) is not None:
            raise
        log.warning("trial %d failed: %s", number, error)
        kind = "" if isinstance(error, GraftlineError) else f"{type(error).__name__}: "
        return Outcome(state="failed", detail=f"{kind}{error}")


STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "infeasible": TrialState.PRUNED,  # without a value: the sampler learns to keep away, as it would not from a FAIL
    "failed": TrialState.FAIL,
}


def record(study: Study, claimed: Claimed, outcome: Outcome) -> None:
    """Records the outcome of a trial in the study."""
    claimed.trial.set_user_attr("outcome", outcome.model_dump(mode="json"))
    study.tell(claimed, outcome.value, STATES[outcome.state])


def _judged(report: dict[str, Any], objective: str) -> Outcome:
    if report["status"] != "verified":
        verdict = Verdict.model_validate(report["verify"], strict=False)
        return Outcome(state="failed", detail=f"its adapter is not verified: {verdict.failures()}")
    value = value_of(report, objective)
    if value is None:
        return Outcome(state="failed", detail=f"its report has no {objective}")
    return Outcome(state="complete", value=value)
