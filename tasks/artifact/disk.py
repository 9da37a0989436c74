"""Recognises the errors of a disk that is full, read-only or failing, and puts them in words."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import GraftlineError, RunError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FAILING = {errno.EROFS, errno.EIO, errno.ESTALE, errno.ENODEV}
_CROWDED = 64 << 20  # bytes free below which a write that failed for no given reason failed for want of room


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether an error, or one that it was raised from, means that no more fits on the disk of a folder.

    An error of the operating system has a number. The writers of safetensors give the reason in their text alone, and
    MLX's only that it was unable to write: then the room that is left decides.
    """
    if isinstance(error, OSError) and error.errno is not None:
        full = error.errno in _FULL
    else:
        text = str(error)
        full = "No space left" in text or ("Unable to write" in text and _free(folder) < _CROWDED)
    cause = error.__cause__ or error.__context__
    return full or (cause is not None and is_disk_full(cause, folder))


def disk_problem(error: BaseException, folder: Path) -> str | None:
    """The problem with the disk of a folder and the fix, in words; None where an error is of another kind.

    Example:
        >>> disk_problem(OSError(errno.EROFS, "", "/runs/a/metrics.jsonl"), Path("/runs/a"))
        'Read-only file system (/runs/a/metrics.jsonl); mend the disk'
    """
    if is_disk_full(error, folder):
        return "the disk is full; make room"
    if isinstance(error, OSError) and error.errno in _FAILING:
        file = f" ({error.filename})" if error.filename else ""
        return f"{os.strerror(error.errno)}{file}; mend the disk"
    cause = error.__cause__ or error.__context__
    return None if cause is None else disk_problem(cause, folder)


@contextmanager
def kept_at(folder: Path, name: str) -> Iterator[None]:
    """Turns an error of a full, read-only or failing disk into one line that names the folder.

    Args:
        folder: the folder that is written to.
        name: what the message calls it.

    Raises:
        RunError: the disk refused.
    """
    try:
        yield
    except GraftlineError:
        raise
    except Exception as error:
        if (problem := disk_problem(error, folder)) is None:
            raise
        raise RunError(f"{name} {folder}: {problem}, then repeat the command to resume") from error


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
