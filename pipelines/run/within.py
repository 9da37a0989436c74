"""Trains inside a window of hours only: a run stops after a checkpoint when the window closes."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.config.window import Window
from tasks.checkpoint.interrupt import BACK, stop_by
from tasks.errors import Interrupted, Paused

log = logging.getLogger(__name__)


def require_open(window: str | None) -> float | None:
    """When the window closes, in seconds of the epoch; None for no window.

    On the day that the clock goes forward it waits for the opening of a window that a schedule was too early for.

    Raises:
        Paused: it is not open.
    """
    if window is None:
        return None
    hours, now = Window.parse(window), time.time()
    if (opening := hours.late_opening(now)) is not None:
        log.info("the clock goes forward today: waiting %.0f minutes for window=%s", (opening - now) / 60, window)
        time.sleep(opening - now)
        now = max(opening, time.time())
    if (end := hours.until(now)) is None:
        raise Paused(f"it is {hours.clock(now)}, outside window={window}")
    return end


@contextmanager
def within(window: str | None) -> Iterator[None]:
    """Lets a block train until the window closes; None lets it train for ever.

    Raises:
        Paused: the window is not open, or it closed while the block trained, which saved a checkpoint first.
    """
    end = require_open(window)
    if end is None:
        yield
        return
    began = time.time()
    try:
        with stop_by(end):
            yield
    except Interrupted as stop:
        if began - BACK <= time.time() < end:
            raise
        raise Paused(f"window={window} has closed: {stop.what}", resume=stop.resume) from None
