"""One GPU, one run: runs from the command line and the UI take turns by a kernel lock, which death frees."""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from tasks.errors import RunError

log = logging.getLogger(__name__)


def lock_path() -> Path:
    """The lock of this user on this machine; GRAFTLINE_GPU_LOCK names another, one for each GPU of a larger one."""
    return Path(os.environ.get("GRAFTLINE_GPU_LOCK", Path.home() / ".cache" / "graftline" / "gpu.lock"))


@contextmanager
def gpu_lock(policy: Literal["wait", "fail"], run_dir: Path) -> Iterator[None]:
    """Holds the GPU for a block; within such a block of the same thread it is held already.

    Args:
        policy: `wait` says whom it waits for and waits; `fail` refuses.
        run_dir: said to those who wait.

    Raises:
        RunError: the policy is `fail` and another run holds it; or the lock cannot be made.
    """
    path = lock_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise RunError(
            f"the lock of the GPU, {path}, cannot be made: {error.strerror}; GRAFTLINE_GPU_LOCK names another place"
        ) from error
    holder, lock = path.with_suffix(".json"), FileLock(path, is_singleton=True)
    said = False
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            who = _holder(holder)
            if policy == "fail":
                raise RunError(f"the GPU is taken by {who}; wait for it, or say gpu_lock=wait") from None
            if not said:
                log.warning("waiting for the GPU, taken by %s", who)
                said = True
            time.sleep(0.5)
    try:
        with suppress(OSError):  # it is only said to those who wait
            holder.write_text(json.dumps({"process": os.getpid(), "run_dir": str(run_dir)}), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return f"process {held['process']} ({held['run_dir']})"
    except (OSError, ValueError, KeyError):
        return "another run"
