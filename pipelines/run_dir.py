"""The run directory: opened once, locked against a second run, resumed by the same settings, sealed at the end."""

import json
import logging
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from pipelines.config import Run
from tasks.artifact import fingerprint, write_json, write_text
from tasks.blas import device
from tasks.errors import GraftlineError, RunError

OUTPUTS = Path(__file__).resolve().parents[1] / "outputs"
TOKENS = OUTPUTS / "cache" / "tokens"
FREE = ("name", "run_dir", "resume", "gpu_lock", "orchestrate", "sinks", "evaluate", "verify")
"""Top-level keys that do not shape the adapter, so that a resumed run may change them."""


def new_run_dir(run: Run) -> Path:
    """Where a run writes: `run_dir`, or outputs/runs/NAME/TIME-ID."""
    if run.run_dir is not None:
        return Path(run.run_dir).expanduser().absolute()
    return OUTPUTS / "runs" / run.name / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


@contextmanager
def open_run(run: Run, folder: Path) -> Iterator[None]:
    """Makes the directory this run's own for the length of a block, with its log in run.log.

    A directory that an earlier run left is gone on with if the settings that shape the adapter are the same. A new
    directory in which nothing was trained is removed when an error ends the block.

    Raises:
        RunError: not writable, in use by another run, or of other settings.
    """
    fresh = not folder.exists()
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
        _resume_or_start(run, folder)
        handler = _log_to(folder / "run.log")
        yield
    except GraftlineError as error:
        if fresh and not any(folder.glob("checkpoints/step-*")) and not (folder / "report.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
        else:
            logging.getLogger("pipelines").error("%s", error)
        raise
    except Exception:
        logging.getLogger("pipelines").exception("the run crashed")
        raise
    finally:
        if handler is not None:
            for name in ("tasks", "pipelines"):
                logging.getLogger(name).removeHandler(handler)
            handler.close()
        lock.release()
        (folder / ".lock").unlink(missing_ok=True)


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
    if path.exists() and run.resume == "auto":
        earlier = _flat({k: v for k, v in yaml.safe_load(path.read_text(encoding="utf-8")).items() if k not in FREE})
        now = _flat(shaping(run))
        changed = sorted(key for key in {*earlier, *now} if earlier.get(key) != now.get(key))
        if changed and any(folder.glob("checkpoints/step-*")):
            shown = ", ".join(f"{key} was {earlier.get(key)!r}, is {now.get(key)!r}" for key in changed[:4])
            raise RunError(
                f"run_dir={folder} holds a run of other settings: {shown}; give another run_dir, or resume=never"
            )
    if run.resume == "never":
        for stale in ("checkpoints", "adapter"):
            shutil.rmtree(folder / stale, ignore_errors=True)
        (folder / "metrics.jsonl").unlink(missing_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    write_text(path, yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {prefix: json.dumps(value)}
    return {k: v for key, item in value.items() for k, v in _flat(item, f"{prefix}.{key}" if prefix else key).items()}


def _log_to(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("tasks", "pipelines"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    logging.getLogger("pipelines").info("process %d, %s", os.getpid(), " ".join(sys.argv))
    return handler
