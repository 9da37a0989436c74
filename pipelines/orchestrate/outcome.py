"""What a run came to, kept in this process: Prefect hands it back through its server, which may be gone by then.

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
"""Of each request to a server that does not answer: 14 seconds in all, where Prefect's own five are a minute."""


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        report: the content of report.json, once it is written.
        error: the mistake, the bad result or the signal that ended it.
    """

    report: dict[str, Any] | None = None
    error: GraftlineError | None = None


_current: ContextVar[Outcome | None] = ContextVar("outcome", default=None)


def outcome() -> Outcome:
    """What the run of this context came to so far, for its flow to fill in."""
    return _current.get() or Outcome()


@contextmanager
def past_prefect() -> Iterator[Outcome]:
    """Within the block a flow fills the outcome in; what Prefect raises in place of it is put right.

    The flow's own error comes out as it was raised, even where the server could not be told of it. A report stands
    where only the server was lost, which is said in one line.

    Raises:
        GraftlineError: what the flow itself raised.
        RunError: no server answered from the start.
    """
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    found = Outcome()
    token = _current.set(found)
    chosen = "PREFECT_CLIENT_MAX_RETRIES" in os.environ
    try:
        with temporary_settings({} if chosen else {PREFECT_CLIENT_MAX_RETRIES: RETRIES}):
            yield found
    except Exception as error:
        if found.error is not None:
            raise found.error from None
        if not is_lost(error):
            raise
        if found.report is None:
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
