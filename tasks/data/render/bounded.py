"""Bounds in time and memory for a chat template, which is a program that somebody else wrote."""

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getpagesize, getrusage

SECONDS = 30.0
"""Of this process's CPU. 12,800 messages, of which most templates make a text in quadratic time, take 7."""

GROWTH = 1 << 30
"""Bytes by which the process may grow meanwhile."""

PAUSE = 0.02
_STATM = Path("/proc/self/statm")


class TooMuch(Exception):
    """Raised inside a block that went beyond its bounds."""


@dataclass(eq=False)
class _Block:
    thread: int
    until: float
    most: int
    stopped: bool = False


_blocks: set[_Block] = set()
_lock, _some = threading.Lock(), threading.Event()


@contextmanager
def bounded(seconds: float = SECONDS, growth: int = GROWTH) -> Iterator[None]:
    """Stops a block of Python that takes too much, between two of its instructions, from a thread that looks on.

    One instruction that is too much by itself is not stopped; a loop is, and a text that doubles in one.

    Args:
        seconds: of CPU that the process may take.
        growth: bytes that it may grow by.

    Raises:
        TooMuch: it took more.

    Example:
        >>> with bounded():
        ...     1 + 1
        2
    """
    block = _Block(threading.get_ident(), time.process_time() + seconds, _held() + growth)
    with _lock:
        if not _some.is_set() and not any(thread.name == __name__ for thread in threading.enumerate()):
            threading.Thread(target=_look_on, name=__name__, daemon=True).start()
        _blocks.add(block)
        _some.set()
    try:
        yield
    finally:
        with _lock:
            _blocks.discard(block)
            if not _blocks:
                _some.clear()
        if block.stopped:
            with suppress(TooMuch):  # which may be on its way still
                time.sleep(PAUSE)


def _look_on() -> None:
    while _some.wait():
        time.sleep(PAUSE)
        with _lock:
            for block in _blocks:
                if not block.stopped and (time.process_time() > block.until or _held() > block.most):
                    block.stopped = True
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(block.thread), ctypes.py_object(TooMuch))


def _held() -> int:
    """Bytes that this process takes; where the system does not say, the most that it ever took."""
    try:
        return int(_STATM.read_bytes().split()[1]) * getpagesize()
    except OSError:
        return getrusage(RUSAGE_SELF).ru_maxrss
