"""The run that an earlier window left unfinished, by its files: the same settings, a checkpoint, no manifest."""

from contextlib import suppress
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from pipelines.config import Run, decode
from pipelines.resume import shaping
from tasks.errors import ConfigError


def unfinished(run: Run, runs: Path) -> Path | None:
    """The newest directory of runs/NAME in which a run of these settings can go on; None where a new one begins.

    One of other settings, or that a process works in, is passed over.
    """
    for folder in sorted((runs / run.name).glob("*/"), reverse=True):
        begun = any(folder.glob("checkpoints/step-*")) and not (folder / "manifest.json").exists()
        if begun and _earlier(folder / "config.yaml") == shaping(run) and not _in_use(folder / ".lock"):
            return folder
    return None


def _earlier(config: Path) -> dict[str, object] | None:
    with suppress(OSError, ValueError, yaml.YAMLError, ConfigError):
        plain = yaml.safe_load(config.read_text(encoding="utf-8"))
        return shaping(decode(plain)) if isinstance(plain, dict) else None
    return None


def _in_use(lock: Path) -> bool:
    try:
        if lock.exists():  # a killed run leaves the file, held by nobody
            FileLock(lock).acquire(timeout=0).lock.release()
        return False
    except Timeout:
        return True
