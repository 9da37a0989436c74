"""Keeps the outcome of a run in this process, since Prefect hands it back through a server that may be gone.

The files of the run directory are the truth. A server that dies in mid-run costs its page in the UI, nothing else.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from tasks.errors import GraftlineError, RunError

log = logging.getLogger(__name__)
RETRIES = 3
"""Retries per request when the server is down: 14 s in total (Prefect's default of 5 takes a minute)."""


@dataclass
class Outcome:
    """The outcome of a run.

    Attributes:
        report: the content of report.json, once it is written.
        error: the mistake, the bad result or the signal that ended it.
    """

    report: dict[str, Any] | None = None
    error: GraftlineError | None = None


_current: ContextVar[Outcome | None] = ContextVar("outcome", default=None)


def current_outcome() -> Outcome:
    """The outcome of the run of this context so far, for its flow to fill in."""
    return _current.get() or Outcome()


@contextmanager
def surviving_lost_server() -> Iterator[Outcome]:
    """Lets a flow end as its outcome says, even where the Prefect server was lost meanwhile.

    The flow's own error is raised as it was, although Prefect could not record it. A report stands where only the
    server was lost; a warning says so.

    Raises:
        GraftlineError: what the flow itself raised.
        RunError: no server answered from the start.
    """
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    outcome = Outcome()
    token = _current.set(outcome)
    chosen = "PREFECT_CLIENT_MAX_RETRIES" in os.environ
    try:
        with temporary_settings({} if chosen else {PREFECT_CLIENT_MAX_RETRIES: RETRIES}):
            yield outcome
    except Exception as error:
        if outcome.error is not None:
            raise outcome.error from None
        if not is_lost(error):
            raise
        if outcome.report is None:
            raise RunError(
                f"the Prefect server does not answer ({error}); start it, or say orchestrate=false"
            ) from error
        log.warning("the Prefect server was lost (%s), so its UI does not show how this run ended; the files do", error)
    finally:
        _current.reset(token)


def is_lost(error: BaseException) -> bool:
    """Whether an error is that of a Prefect server which does not answer, or has forgotten the run."""
    from httpx import HTTPError
    from prefect.exceptions import ObjectNotFound

    return isinstance(error, HTTPError | ObjectNotFound) or "Failed to reach API" in str(error)
