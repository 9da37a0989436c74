"""One builder at a time for one cache: a second process waits, and then finds it built."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_builder(path: Path) -> Iterator[None]:
    """Holds the lock of the directory to be built at `path`, and clears away what a killed builder left.

    The lock is the operating system's: it goes with its process, so that a crash leaves none behind.

    Example:
        >>> import tempfile
        >>> with only_builder(Path(tempfile.mkdtemp()) / "cache"):
        ...     pass
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for stale in path.parent.glob(f".{path.name}.*.tmp"):
            shutil.rmtree(stale, ignore_errors=True)
        yield
