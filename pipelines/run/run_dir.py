"""Opens a run directory for one run alone, resumes it under the same settings, and seals it at the end."""

import logging
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from pipelines.config import Run
from pipelines.run.folder import RESULTS, check_links, check_own, make_folder, remove_folders
from pipelines.run.resume import check_same, shaping
from pipelines.run.run_log import RunLog
from tasks.artifact import clear_leftovers, disk_problem, fingerprint, write_json, write_text
from tasks.device.blas import device
from tasks.errors import GraftlineError, RunError, hide_secrets
from tasks.step.bad_batch import BAD_BATCH

OUTPUTS = Path(__file__).resolve().parents[2] / "outputs"
TOKENS = OUTPUTS / "cache" / "tokens"


def new_run_dir(run: Run, identity: str | None = None) -> Path:
    """Where a run writes: `run_dir`, or outputs/runs/NAME/TIME-ID.

    Args:
        run: the settings.
        identity: of the flow run, which has one directory however often it is tried; None is a new one.
    """
    if run.run_dir is not None:
        return Path(run.run_dir).expanduser().absolute()
    runs, suffix = OUTPUTS / "runs" / run.name, (identity or secrets.token_hex(4))[-8:]
    earlier = sorted(runs.glob(f"*-{suffix}"))
    return earlier[0] if earlier else runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{suffix}"


@contextmanager
def open_run(run: Run, folder: Path) -> Iterator[None]:
    """Makes the directory this run's own for the length of a block, with its log in run.log.

    A directory that an earlier run left is gone on with if the settings that shape the adapter are the same; what a
    killed one left half written is cleared away first. A new directory in which nothing was trained is removed when an
    error ends the block, and so are the folders made for it.

    Raises:
        RunError: not writable, of other things, in use by another run, of other settings, or on a disk that is full or
            failing.
    """
    new = make_folder(folder)
    check_own(folder)
    check_links(folder)
    try:
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"run_dir={folder} is in use by another run; wait for it, or give another run_dir") from None
    except OSError as error:
        raise RunError(f"run_dir={folder} cannot be written: {error.strerror or error}") from error
    run_log: RunLog | None = None
    try:
        swept = [*clear_leftovers(folder), *clear_leftovers(folder / "checkpoints")]
        check_same(run, folder)
        run_log = RunLog(folder / "run.log")
        _begin(run, folder)
        if swept:
            run_log.say(logging.INFO, f"cleared away what a killed run left half written: {', '.join(swept)}")
        yield
    except GraftlineError as error:
        _leave(folder, new, run_log, error)
        raise
    except Exception as error:
        if (problem := disk_problem(error, folder)) is None:
            if run_log is not None:
                run_log.say(logging.ERROR, "the run crashed", error)
            raise
        refused = RunError(f"run_dir={folder}: {problem}, then repeat the command with it to resume")
        _leave(folder, new, run_log, refused)
        raise refused from error
    finally:
        if run_log is not None:
            run_log.close()
        with suppress(OSError):  # a disk that refuses this refused something that matters before
            (folder / ".lock").unlink(missing_ok=True)  # before the release: the next one to lock it sees it gone
        lock.release()


def seal(run: Run, folder: Path, *, overrides: list[str], data: str, model: str) -> None:
    """Writes manifest.json, last: with it the directory is complete."""
    packages = ("mlx", "mlx-lm", "prefect", "hydra-core", "omegaconf", "safetensors", "transformers", "numpy")
    write_json(
        folder / "manifest.json",
        {
            "kind": "run",
            "version": 1,
            "command": ["python", "-m", "pipelines.finetune", *map(hide_secrets, overrides)],
            "python": sys.version.split()[0],
            "packages": {name: version(name) for name in packages},
            "device": device(),
            "fingerprints": {"data": data, "model": model, "config": fingerprint(shaping(run))},
        },
    )


def _begin(run: Run, folder: Path) -> None:
    """The settings written down, and nothing there that is of another run."""
    if run.resume == "never":
        for stale in ("checkpoints", "adapter"):
            shutil.rmtree(folder / stale, ignore_errors=True)
        for stale in RESULTS:
            (folder / stale).unlink(missing_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    write_text(folder / "config.yaml", yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def _leave(folder: Path, new: list[Path], run_log: RunLog | None, error: GraftlineError) -> None:
    """Takes a new directory without a step away again; writes the reason into the log of any other."""
    if folder not in new or _wrote_evidence(folder):
        if run_log is not None:
            run_log.say(logging.ERROR, str(error))
        return
    shutil.rmtree(folder, ignore_errors=True)
    remove_folders(new[1:])  # as far as no other run has begun there


def _wrote_evidence(folder: Path) -> bool:
    """Whether a run came as far as its first step, so that what it wrote tells why it ended."""
    steps = folder / "metrics.jsonl"
    named = [folder / name for name in (BAD_BATCH, "report.json")]
    return (
        any(folder.glob("checkpoints/step-*"))
        or any(path.exists() for path in named)
        or (steps.exists() and steps.stat().st_size > 0)
    )
