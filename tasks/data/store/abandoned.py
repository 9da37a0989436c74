"""Leftovers of builders that were killed and never started again."""

import shutil
import time
from pathlib import Path

from tasks.data.store.lock import is_locked

_WEEK = 7 * 24 * 3600


def remove_abandoned(root: Path) -> None:
    """Removes half-built caches that were not written to for a week and are not being built.

    Args:
        root: the folder of caches.

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
        if time.time() - folder.stat().st_mtime > _WEEK and not is_locked(lock):
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)
