"""Trains inside a window of hours only: a run stops after a checkpoint when the window closes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.config.window import Window
from tasks.checkpoint.interrupt import BACK, stop_by
from tasks.errors import Interrupted, Paused


def require_open(window: str | None) -> float | None:
    """When the window closes, in seconds of the epoch; None for no window.

    Raises:
        Paused: it is not open.
    """
    if window is None:
        return None
    if (end := Window.parse(window).until(time.time())) is None:
        raise Paused(f"it is {time.strftime('%H:%M')} here, outside window={window}")
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
