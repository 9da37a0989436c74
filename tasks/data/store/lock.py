"""One builder at a time for one cache: a second process waits, and then finds it built."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def only_builder(path: Path) -> Iterator[None]:
    """Holds the lock of the directory to be built at `path`, and clears away what a killed builder left half-written.

    The lock is the operating system's: it goes with its process, so that a crash leaves none behind.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with only_builder(folder / "cache"):
        ...     pass
        >>> list(folder.iterdir())
        []
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.parent / f".{path.name}.lock")
    with lock:
        try:
            for stale in path.parent.glob(f".{path.name}.*.tmp"):
                shutil.rmtree(stale, ignore_errors=True)
            yield
        finally:
            # While it is held: a process that waits for it sees that the file is gone, and makes another.
            Path(lock.lock_file).unlink(missing_ok=True)


def is_locked(lock: Path) -> bool:
    """Whether a process holds this lock; a mere look makes no lock file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "cache"
        >>> with only_builder(path):
        ...     is_locked(path.parent / ".cache.lock")
        True
        >>> is_locked(path.parent / ".cache.lock")
        False
    """
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
