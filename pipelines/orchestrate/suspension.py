"""A run that is suspended in the UI stops as a cancelled one does: after its step, with a checkpoint.

Prefect itself lets a task that has started run to its end, which for training is hours after the page said Suspended.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Pause
from prefect.runtime import flow_run

from pipelines.orchestrate.outcome import is_lost
from tasks.checkpoint.interrupt import stop_when
from tasks.errors import Interrupted

EVERY = 5.0
"""Seconds between two questions to the server."""


@contextmanager
def stopping_when_suspended() -> Iterator[None]:
    """Within the block, training stops once the flow run is suspended on the server.

    Raises:
        Pause: in place of Interrupted where a suspension stopped the training; Prefect ends the process, keeps the
            state, and runs the flow again on Resume, which goes on from the checkpoint in the run's own directory.
    """
    if (identity := flow_run.id) is None:
        yield
        return
    suspended, left = threading.Event(), threading.Event()

    def watch() -> None:
        while not left.wait(EVERY):
            if _is_paused(_read(identity)):
                suspended.set()
                break

    thread = threading.Thread(target=watch, daemon=True, name="suspension")
    thread.start()
    try:
        with stop_when(suspended.is_set):
            yield
    except Interrupted:
        run = _read(identity) if suspended.is_set() else None
        if run is None or not _is_paused(run):
            raise
        raise Pause(state=run.state) from None
    finally:
        left.set()


def _read(identity: str) -> FlowRun | None:
    """The flow run as the server knows it; None from a server that does not answer."""
    try:
        with get_client(sync_client=True) as client:
            return client.read_flow_run(UUID(identity))
    except Exception as error:
        if is_lost(error):
            return None
        raise


def _is_paused(run: FlowRun | None) -> bool:
    return run is not None and run.state is not None and run.state.is_paused()
