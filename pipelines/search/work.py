"""Works at a search: takes trials in turn until none is left anywhere, then writes the report."""

import gc
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx

from pipelines.orchestrate.as_task import AsStage
from pipelines.run.folder import make_folder
from pipelines.run.gpu_lock import gpu_lock
from pipelines.run.resume import shaping
from pipelines.run.within import require_open
from pipelines.search import space
from pipelines.search.conclude import conclude
from pipelines.search.lease import TakenOver
from pipelines.search.same_study import rows_of, settings_of
from pipelines.search.search import Search
from pipelines.search.storage import Storage
from pipelines.search.study import Claimed, Study
from pipelines.search.trial import Outcome, prepare, record, run_trial
from tasks.errors import Interrupted
from tasks.model.base import shared_base

log = logging.getLogger(__name__)
POLL = 0.5  # seconds
Around = Callable[[Claimed, space.Values, Callable[[], Outcome]], Outcome]


def plainly(claimed: Claimed, values: space.Values, body: Callable[[], Outcome]) -> Outcome:
    """Runs a trial without a flow around it."""
    del claimed, values
    return body()


def work(search: Search, as_stage: AsStage, around: Around = plainly) -> dict[str, Any]:
    """Works at a search until it is complete, alone or among other workers; gives its report.

    Args:
        search: the search.
        as_stage: as for `run_stages`.
        around: wraps each trial, such as `flows.as_flow`.

    Raises:
        Interrupted: a signal came; the trial that was running resumes from its checkpoint next time.
        RunError: the storage does not answer, or no trial came to an end.
    """
    make_folder(search.folder)
    storage = Storage(search.storage)
    sweep = search.sweep
    settings = {**settings_of(sweep, shaping(search.run)), **rows_of(search)}
    study = Study(sweep, settings, storage, search.folder)
    announced, resume = False, f"to resume the study {sweep.study}, repeat the command"
    try:
        with storage.answering(), study.leases.working():
            with shared_base(), _quick_collections():
                while not study.complete():
                    if _turn(search, study, as_stage, around):
                        announced = False
                        continue
                    if not announced:
                        log.info("waiting for the workers at the last trials")
                        announced = True
                    time.sleep(POLL)
            study.leases.clear()
            with study.leases.alone():  # the second finds the best adapter copied
                return conclude(search, study, as_stage)
    except Interrupted as stopped:
        raise type(stopped)(stopped.what, stopped.signum, resume) from None
    except KeyboardInterrupt:
        raise Interrupted("stopped", 2, resume) from None


def _turn(search: Search, study: Study, as_stage: AsStage, around: Around) -> bool:
    """Runs one trial with the GPU to itself; False where there is none for this worker."""
    with gpu_lock(search.run.gpu_lock, search.folder, search.sweep.study):
        require_open(search.run.window)  # before a trial is begun that could not train
        claimed = study.next()
        if claimed is None:
            return False
        try:
            with study.at_work(claimed) as beat:
                values = _drawn(search, claimed)
                number = claimed.trial.number
                log.info("%s trial %d: %s", _verb(claimed), number, " ".join(space.overrides(values)))
                prepared = prepare(search, study, claimed, values)
                outcome = (
                    prepared
                    if isinstance(prepared, Outcome)
                    else around(
                        claimed, values, lambda: run_trial(search, study, claimed, beat, prepared, values, as_stage)
                    )
                )
                beat.check()
                record(study, claimed, outcome)
        except TakenOver as error:
            log.warning("%s", error)
            return True
        log.info("trial %d is %s%s", number, outcome.state, _result(outcome))
    gc.collect()
    mx.clear_cache()
    return True


@contextmanager
def _quick_collections() -> Iterator[None]:
    """Lets the collection after each trial pass over what was imported before: 10 ms where it takes 200."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _drawn(search: Search, claimed: Claimed) -> space.Values:
    values = space.suggest(claimed.trial, search.sweep.space)
    where = f"{socket.gethostname()}:{search.trial_folder(claimed.trial.number)}"
    claimed.trial.set_user_attr("where", where)
    return values


def _verb(claimed: Claimed) -> str:
    return "going on with" if claimed.resumed else "starting"


def _result(outcome: Outcome) -> str:
    value = [] if outcome.value is None else [f"{outcome.value:.5g}"]
    return f": {', '.join([*value, *[outcome.detail] * bool(outcome.detail)])}"
