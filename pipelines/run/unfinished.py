"""Finds the run that an earlier window left unfinished: the same settings, a checkpoint, no manifest."""

import logging
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines.config import Run
from pipelines.run.earlier import earlier_settings
from pipelines.run.resume import shaping
from tasks.artifact import read_manifest

log = logging.getLogger(__name__)


def interrupted_run(run: Run, runs: Path, rows: Callable[[], str]) -> Path | None:
    """The newest directory of runs/NAME from which a run of these settings can resume; None where a new one begins.

    One of other settings, or that a process works in, is passed over. So is one of other rows: nobody is there at
    night to decide, and a run on the rows as they are now is better than none.

    Args:
        run: the settings.
        runs: where the runs are.
        rows: gives the fingerprint of what the run would be trained on; asked where there is a candidate.
    """
    for folder in sorted((runs / run.name).glob("*/"), reverse=True):
        begun = any(folder.glob("checkpoints/step-*")) and not (folder / "manifest.json").exists()
        if not begun or shaping(earlier_settings(folder) or {}) != shaping(run) or _in_use(folder / ".lock"):
            continue
        if _rows_of(folder) in (None, rows()):
            return folder
        log.warning(
            "the rows have changed since %s, so a run begins afresh; with the earlier rows back in place, run_dir=%s "
            "resumes it",
            *(folder.name, folder),
        )
    return None


def _rows_of(folder: Path) -> str | None:
    newest = max(folder.glob("checkpoints/step-*"))
    return (read_manifest(newest) or {}).get("origin", {}).get("data")


def _in_use(lock: Path) -> bool:
    try:
        if lock.exists():  # a killed run leaves the file, held by nobody
            FileLock(lock).acquire(timeout=0).lock.release()
        return False
    except Timeout:
        return True
