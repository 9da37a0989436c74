"""The run directory: opened once, locked against a second run, resumed by the same settings, sealed at the end."""

import errno
import json
import logging
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from pipelines.config import Run, decode
from tasks.artifact import fingerprint, sweep, write_json, write_text
from tasks.blas import device
from tasks.errors import ConfigError, GraftlineError, RunError

OUTPUTS = Path(__file__).resolve().parents[1] / "outputs"
TOKENS = OUTPUTS / "cache" / "tokens"
FREE = ("name", "run_dir", "resume", "gpu_lock", "window", "orchestrate", "sinks", "evaluate", "verify")
"""Top-level keys that do not shape the adapter, so that a resumed run may change them."""
EXTENDS = (
    *("train.steps", "train.epochs", "train.eval_every", "train.eval_batches", "train.save_every"),
    *("train.keep", "train.keep_best", "train.keep_every", "train.on_bad", "train.backoff", "train.spike"),
    *("train.patience", "train.final"),
)
"""Keys that `resume=extend` may change as well.

The learning rate is a function of the step and of the steps in all. Under schedule=constant with a warm-up counted in
steps, an extended run is the longer run, byte for byte. Under a decay its steps from here on take the rates that the
longer run has there (so that the rate rises again where the shorter run had it almost down), while those before were
taken at the shorter run's.
"""
RESULTS = ("metrics.jsonl", "evaluate.json", "verdict.json", "report.json", "report.md", "loss.svg")
"""What a run that starts afresh must not find: a failed one would stand beside another's verdict."""
_CROWDED = 64 << 20  # bytes free below which a write that failed for no given reason failed for want of room


def new_run_dir(run: Run) -> Path:
    """Where a run writes: `run_dir`, or outputs/runs/NAME/TIME-ID."""
    if run.run_dir is not None:
        return Path(run.run_dir).expanduser().absolute()
    return OUTPUTS / "runs" / run.name / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


@contextmanager
def open_run(run: Run, folder: Path) -> Iterator[None]:
    """Makes the directory this run's own for the length of a block, with its log in run.log.

    A directory that an earlier run left is gone on with if the settings that shape the adapter are the same; what a
    killed one left half written is cleared away first. A new directory in which nothing was trained is removed when an
    error ends the block, and so are the folders made for it.

    Raises:
        RunError: not writable, in use by another run, of other settings, or on a disk that is full.
    """
    fresh = not folder.exists()
    made = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"run_dir={folder} is in use by another run; wait for it, or give another run_dir") from None
    except OSError as error:
        raise RunError(f"run_dir={folder} cannot be written: {error.strerror or error}") from error
    handler: logging.Handler | None = None
    try:
        swept = [*sweep(folder), *sweep(folder / "checkpoints")]
        _resume_or_start(run, folder)
        handler = _log_to(folder / "run.log")
        if swept:
            _to_file(handler, logging.INFO, f"cleared away what a killed run left half written: {', '.join(swept)}")
        yield
    except GraftlineError as error:
        _leave(folder, made, fresh=fresh, handler=handler, error=error)
        raise
    except Exception as error:
        if not _disk_is_full(error, folder):
            _to_file(handler, logging.ERROR, "the run crashed", error)
            raise
        full = RunError(f"run_dir={folder}: the disk is full; make room, then give the same command to go on")
        _leave(folder, made, fresh=fresh, handler=handler, error=full)
        raise full from error
    finally:
        if handler is not None:
            for name in ("tasks", "pipelines"):
                logging.getLogger(name).removeHandler(handler)
            with suppress(OSError):  # a full disk, which has been said
                handler.close()
        (folder / ".lock").unlink(missing_ok=True)  # while it is held: who takes it next sees that it is gone
        lock.release()


def seal(run: Run, folder: Path, *, overrides: list[str], data: str, model: str) -> None:
    """Writes manifest.json, last: with it the directory is complete."""
    packages = ("mlx", "mlx-lm", "prefect", "hydra-core", "omegaconf", "safetensors", "transformers", "numpy")
    write_json(
        folder / "manifest.json",
        {
            "kind": "run",
            "version": 1,
            "command": ["python", "-m", "pipelines.finetune", *overrides],
            "python": sys.version.split()[0],
            "packages": {name: version(name) for name in packages},
            "device": device(),
            "fingerprints": {"data": data, "model": model, "config": fingerprint(shaping(run))},
        },
    )


def shaping(run: Run) -> dict[str, Any]:
    """The settings that shape the adapter, as plain values."""
    return {key: value for key, value in run.model_dump(mode="json").items() if key not in FREE}


def _resume_or_start(run: Run, folder: Path) -> None:
    path = folder / "config.yaml"
    if path.exists() and run.resume != "never" and any(folder.glob("checkpoints/step-*")):
        earlier, now = _flat(_earlier(path)), _flat(shaping(run))
        free = EXTENDS if run.resume == "extend" else ()
        changed = sorted(key for key in {*earlier, *now} if earlier.get(key) != now.get(key) and key not in free)
        if changed:
            shown = ", ".join(f"{key} was {earlier.get(key)!r}, is {now.get(key)!r}" for key in changed[:4])
            more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
            hint = ", or resume=extend" if run.resume == "auto" and set(changed) <= set(EXTENDS) else ""
            raise RunError(
                f"run_dir={folder} holds a run of other settings: {shown}{more}; give another run_dir, or "
                f"resume=never{hint}"
            )
    if run.resume == "never":
        for stale in ("checkpoints", "adapter"):
            shutil.rmtree(folder / stale, ignore_errors=True)
        for stale in RESULTS:
            (folder / stale).unlink(missing_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    write_text(path, yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def _earlier(path: Path) -> dict[str, Any]:
    """The settings that shaped an earlier run; a key that came since has its default."""
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError):
        plain = None
    if not isinstance(plain, dict):
        raise RunError(
            f"{path} cannot be read, so that nobody knows what the checkpoints beside it are of; give "
            "another run_dir, or resume=never"
        )
    try:
        return shaping(decode(plain))
    except ConfigError:
        return {key: value for key, value in plain.items() if key not in FREE}


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {prefix: json.dumps(value)}
    return {k: v for key, item in value.items() for k, v in _flat(item, f"{prefix}.{key}" if prefix else key).items()}


def _leave(
    folder: Path, made: list[Path], *, fresh: bool, handler: logging.Handler | None, error: GraftlineError
) -> None:
    """Takes a new directory without a trained step away again; writes the reason into the log of any other."""
    if not fresh or any(folder.glob("checkpoints/step-*")) or (folder / "report.json").exists():
        _to_file(handler, logging.ERROR, str(error))
        return
    shutil.rmtree(folder, ignore_errors=True)
    for parent in made:  # the innermost first
        with suppress(OSError):  # another run's by now
            parent.rmdir()


def _disk_is_full(error: Exception, folder: Path) -> bool:
    """Whether an error is that of a full disk; MLX and safetensors say so in words of their own, without a number."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    said = str(error)
    return f"os error {errno.ENOSPC}" in said or ("Unable to write" in said and _free(folder) < _CROWDED)


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _to_file(handler: logging.Handler | None, level: int, text: str, error: Exception | None = None) -> None:
    """Says something in run.log alone: in the terminal the command says it, once."""
    if handler is not None:
        told = None if error is None else (type(error), error, error.__traceback__)
        handler.handle(logging.LogRecord("pipelines", level, __file__, 0, text, None, told))


class _Log(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A line that a full disk does not take is lost: the run stops by itself, at the first thing that matters."""


def _log_to(path: Path) -> logging.Handler:
    handler = _Log(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("tasks", "pipelines"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    _to_file(handler, logging.INFO, f"process {os.getpid()}, {' '.join(sys.argv)}")
    return handler
