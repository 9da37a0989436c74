"""Whether something failed for want of room, whoever says so."""

import errno
import shutil
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
_CROWDED = 64 << 20  # bytes free below which a write that failed for no given reason failed for want of room


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether an error, or one that it was raised from, says that no more fits on the disk of a folder.

    An error of the operating system has a number. The writers of safetensors give the reason in their text alone, and
    MLX's says no more than that it was unable to write: then the room that is left tells.
    """
    if isinstance(error, OSError) and error.errno is not None:
        full = error.errno in _FULL
    else:
        said = str(error)
        full = "No space left" in said or ("Unable to write" in said and _free(folder) < _CROWDED)
    cause = error.__cause__ or error.__context__
    return full or (cause is not None and is_disk_full(cause, folder))


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
