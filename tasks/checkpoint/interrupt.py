"""Stopping well: SIGINT, SIGTERM or the clock asks the loop to finish its step and save; a second signal stops it."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))


class Stop:
    """Whether to stop.

    Args:
        deadline: when to stop without a signal, in seconds of the epoch.
    """

    def __init__(self, deadline: float = float("inf")):
        self._deadline = deadline
        self._came: int | None = None

    @property
    def signum(self) -> int | None:
        """The number of the signal that came, SIGTERM's once the deadline has passed, or None."""
        return self._came or (int(signal.SIGTERM) if time.time() >= self._deadline else None)

    def mark(self, signum: int) -> None:
        """Takes note of a signal; the first one counts."""
        self._came = self._came or signum


@contextmanager
def stop_by(deadline: float) -> Iterator[None]:
    """Within the block, training stops as by SIGTERM once the clock (seconds of the epoch) has passed the deadline."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Yields a Stop that the first signal marks; restores the previous handlers on leaving.

    Signals reach Python in the main thread only; elsewhere the clock alone can stop.
    """
    stop = Stop(_deadline.get())
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def mark(signum: int, frame: FrameType | None) -> None:
        stop.mark(signum)
        signal.signal(signum, previous[signal.Signals(signum)])  # Ctrl-C on a server's run is one of each

    for number in previous:
        signal.signal(number, mark)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
