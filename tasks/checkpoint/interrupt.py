"""Stopping well: SIGINT or SIGTERM asks the loop to finish its step and save; the same one again stops at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether a signal has come.

    Attributes:
        signum: the signal's number, or None.
    """

    signum: int | None = None


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Yields a Stop that the first signal marks; restores the previous handlers on leaving.

    Signals reach Python in the main thread only; elsewhere this changes nothing.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def mark(signum: int, frame: FrameType | None) -> None:
        stop.signum = stop.signum or signum
        signal.signal(signum, previous[signal.Signals(signum)])  # Ctrl-C on a server's run is one of each

    for number in previous:
        signal.signal(number, mark)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
