"""Stopping well: a signal, the clock or a caller asks the loop to finish its step and save; a second signal ends it."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

PATIENCE = 1.0
"""Seconds that a second signal leaves the process to end by itself."""
BACK = 60.0
"""Seconds by which a clock may be set back and still be taken for the same one, put right."""
_hours: ContextVar[tuple[float, float]] = ContextVar("hours", default=(float("-inf"), float("inf")))
_asked: ContextVar[Callable[[], bool]] = ContextVar("asked", default=lambda: False)


class Stop:
    """Whether to stop.

    Args:
        deadline: when to stop without a signal, in seconds of the epoch.
        asked: whether somebody asks for a stop without a signal; called once a step.
        began: when the block began; a clock that goes back beyond it tells nobody what time it is.
    """

    def __init__(
        self,
        deadline: float = float("inf"),
        asked: Callable[[], bool] = lambda: False,
        *,
        began: float = float("-inf"),
    ):
        self._deadline, self._asked, self._began = deadline, asked, began
        self._came: int | None = None

    @property
    def signum(self) -> int | None:
        """The number of the signal that came; SIGTERM's past the deadline or when a caller asks for a stop; or None."""
        closed = not self._began - BACK <= time.time() < self._deadline
        return self._came or (int(signal.SIGTERM) if closed or self._asked() else None)

    def mark(self, signum: int) -> None:
        """Takes note of a signal; the first one counts."""
        self._came = self._came or signum


@contextmanager
def stop_by(deadline: float) -> Iterator[None]:
    """Within the block, training stops as by SIGTERM once the clock (seconds of the epoch) has passed the deadline.

    So it does where the clock was set back beyond when the block began: which hours it is in cannot be known then.
    """
    token = _hours.set((time.time(), deadline))
    try:
        yield
    finally:
        _hours.reset(token)


@contextmanager
def stop_when(asked: Callable[[], bool]) -> Iterator[None]:
    """Within the block, training stops as by SIGTERM once `asked` says so."""
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Yields a Stop that the first signal marks; restores the previous handlers on leaving.

    Signals reach Python in the main thread only; elsewhere the clock alone can stop. The same signal again is the
    previous handler's; where the main thread does not come to it, since it waits for the device, the process ends.
    """
    began, deadline = _hours.get()
    stop = Stop(deadline, _asked.get(), began=began)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def mark(signum: int, frame: FrameType | None) -> None:
        stop.mark(signum)
        signal.signal(signum, previous[signal.Signals(signum)])  # Ctrl-C on a server's run is one of each

    with _watched():
        for number in previous:
            signal.signal(number, mark)
        try:
            yield stop
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


@contextmanager
def _watched() -> Iterator[None]:
    """Ends the process by the second signal of a kind, should the block still be there a second later.

    Python calls handlers between two of its own instructions, and two signals that come within one call into the
    device are one to it. The system's wake-up file has a byte for each, and a thread reads it meanwhile.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    left = threading.Event()

    def watch() -> None:
        came: set[int] = set()
        while numbers := reader.recv(16):
            for number in numbers:
                if number in came and not left.wait(PATIENCE):
                    os.write(2, b"stopped: stopped at once, what was saved before is kept\n")
                    os._exit(128 + number)
                came.add(number)

    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(before)
        writer.close()
        thread.join()
        reader.close()
