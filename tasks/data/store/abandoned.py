"""What builders that were killed and never started again left behind."""

import fcntl
import os
import shutil
import time
from pathlib import Path

_WEEK = 7 * 24 * 3600


def remove_abandoned(root: Path) -> None:
    """Removes half-built caches that nobody has written to for a week and nobody is building.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / ".abc.partial").mkdir()
        >>> remove_abandoned(root)
        >>> [path.name for path in root.iterdir()]
        ['.abc.partial']
    """
    for folder in root.glob(".*.partial"):
        lock = folder.with_name(folder.name.removesuffix(".partial") + ".lock")
        if time.time() - folder.stat().st_mtime > _WEEK and not _is_held(lock):
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _is_held(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
