"""Lets one run at a time use the GPU, by a kernel lock that a killed process frees."""

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
    """The lock of this user on this machine; GRAFTLINE_GPU_LOCK names another, such as one for each of several GPUs."""
    return Path(os.environ.get("GRAFTLINE_GPU_LOCK", Path.home() / ".cache" / "graftline" / "gpu.lock"))


@contextmanager
def gpu_lock(policy: Literal["wait", "fail"], run_dir: Path) -> Iterator[None]:
    """Takes the GPU for a block; a thread that has it already may take it again.

    Args:
        policy: `wait` names the other run and waits for it; `fail` refuses.
        run_dir: shown to the runs that wait.

    Raises:
        RunError: the policy is `fail` and another run has it; or the lock cannot be made.
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
    announced = False
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            holding_run = _holder(holder)
            if policy == "fail":
                raise RunError(f"the GPU is taken by {holding_run}; wait for it, or say gpu_lock=wait") from None
            if not announced:
                log.warning("waiting for the GPU, taken by %s", holding_run)
                announced = True
            time.sleep(0.5)
    try:
        with suppress(OSError):  # it only names this run to those that wait
            holder.write_text(json.dumps({"process": os.getpid(), "run_dir": str(run_dir)}), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['process']} ({holder['run_dir']})"
    except (OSError, ValueError, KeyError):
        return "another run"
