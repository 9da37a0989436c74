"""Lets one run at a time use the GPU, in the order of asking: a queue of tickets, each of a process that lives."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from tasks.errors import RunError

log = logging.getLogger(__name__)
POLL = 0.1
"""Seconds between two looks at the queue."""
_TAKEN = threading.local()  # .paths: the locks that this thread has


def lock_path() -> Path:
    """The lock of this user on this machine; GRAFTLINE_GPU_LOCK names another, such as one for each of several GPUs."""
    return Path(os.environ.get("GRAFTLINE_GPU_LOCK", Path.home() / ".cache" / "graftline" / "gpu.lock"))


@contextmanager
def gpu_lock(policy: Literal["wait", "fail"], run_dir: Path, name: str) -> Iterator[None]:
    """Takes the GPU for a block; a thread that has it already may take it again.

    Args:
        policy: `wait` names the run that has it and waits for its turn; `fail` refuses.
        run_dir: shown to the runs that wait.
        name: of the run, shown to them too.

    Raises:
        RunError: the policy is `fail` and another run has it; or the lock cannot be made.
    """
    path, taken = lock_path(), _TAKEN.__dict__.setdefault("paths", set())
    if path in taken:
        yield
        return
    ticket = _last_place(path, policy)
    try:
        _wait(path, ticket, f"{name} (process {os.getpid()}, {run_dir}, since ")
        taken.add(path)
        yield
    finally:
        taken.discard(path)
        with suppress(OSError):
            Path(ticket.lock_file).unlink(missing_ok=True)
        ticket.release()


def _last_place(path: Path, policy: Literal["wait", "fail"]) -> FileLock:
    """A ticket after all others; the lock itself is held for as long as the queue is looked at."""
    queue = path.with_suffix(".queue")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        queue.mkdir(exist_ok=True)
        with FileLock(path):
            before = _living(queue)
            if policy == "fail" and before:
                raise RunError(f"the GPU is taken by {_run(before[0])}; wait for it, or say gpu_lock=wait")
            ticket = FileLock(queue / f"{int(before[-1].name) + 1 if before else 1:08d}")
            ticket.acquire(timeout=0)
            return ticket
    except OSError as error:
        raise RunError(
            f"the lock of the GPU, {path}, cannot be made: {error.strerror}; GRAFTLINE_GPU_LOCK names another place"
        ) from error


def _wait(path: Path, ticket: FileLock, run: str) -> None:
    """Returns once no other ticket is before this one."""
    own, said = Path(ticket.lock_file), ""
    while True:
        with FileLock(path):
            before = _living(own.parent, own)
            if not before:
                with suppress(OSError):  # it only names this run to those that wait
                    own.write_text(f"{run}{time.strftime('%Y-%m-%d %H:%M:%S')})", encoding="utf-8")
                return
            line = f"waiting for the GPU, taken by {_run(before[0])}; {_turn(len(before) - 1)}"
        if line != said:
            log.warning("%s", line)
            said = line
        time.sleep(POLL)


def _turn(between: int) -> str:
    return f"{between} more {'goes' if between == 1 else 'go'} before this run" if between else "this run is next"


def _living(queue: Path, own: Path | None = None) -> list[Path]:
    """The tickets in order, those before one's own; what dead processes left is cleared away."""
    living = []
    for path in sorted(queue.glob("[0-9]*")):
        if path == own:
            break
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            living.append(path)
            continue
        path.unlink(missing_ok=True)
        lock.release()
    return living


def _run(ticket: Path) -> str:
    with suppress(OSError, ValueError):
        return ticket.read_text(encoding="utf-8") or "another run"
    return "another run"
