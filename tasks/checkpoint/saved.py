"""Saves and finds checkpoints/step-000100: a training state's arrays and counters, committed atomically, some kept.

Everything random in training is a function of the seed and the step, and the position in the data is a count of
batches; so the arrays (adapter masters and optimizer state) and a few counters are the whole state.
"""

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx

from tasks.artifact import MANIFEST, atomic_directory, damaged_files, fingerprint, read_manifest, remove_directory
from tasks.errors import RunError

log = logging.getLogger(__name__)
ARRAYS = "state.safetensors"
VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """A training state after `step` optimizer steps.

    Attributes:
        step: steps done.
        arrays: the adapter's and the optimizer's arrays by name.
        counters: plain numbers that continue after a resume.
        valid_loss: the validation loss of this very step; None where it did not validate.
        origin: digests of the base, the rows and the tokenizer that it was trained from, by name.
        scheduled: whether it was due at this step, so that an undisturbed run has it too.
    """

    step: int
    arrays: dict[str, mx.array]
    counters: dict[str, Any]
    valid_loss: float | None = None
    origin: dict[str, str] = field(default_factory=dict)
    scheduled: bool = True


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, *, keep: int, best: bool = False, every: int | None = None
) -> Path:
    """Commits a checkpoint under `folder`, then removes those that need not stay.

    Args:
        folder: the folder of all checkpoints.
        checkpoint: what to save.
        keep: how many of the newest that were scheduled stay; one that was not stays until the next.
        best: whether the one of the lowest validation loss stays too.
        every: each whose step is a multiple of it stays too.
    """
    path = folder / f"step-{checkpoint.step:06d}"
    manifest = {
        "kind": "checkpoint",
        "version": VERSION,
        "step": checkpoint.step,
        "counters": checkpoint.counters,
        "valid_loss": checkpoint.valid_loss,
        "origin": checkpoint.origin,
        "scheduled": checkpoint.scheduled,
    }
    manifest["seal"] = fingerprint(manifest)
    with atomic_directory(path, manifest) as aside, (aside / ARRAYS).open("wb") as file:
        # Through a file of Python's: MLX's own writer says neither why it failed nor of which file.
        mx.save_safetensors(file, dict(sorted(checkpoint.arrays.items())), metadata={"format": "mlx"})
    for stale in _stale(folder, checkpoint.step, keep=keep, best=best, every=every):
        remove_directory(stale)
    return path


def newest_checkpoint(folder: Path, *, scheduled: bool = False) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None; a damaged one is logged by name and passed over.

    Args:
        folder: the folder of all checkpoints.
        scheduled: whether only one that was due counts.

    Raises:
        RunError: it is of another version of Graftline.
    """
    paths = [path for _, path in reversed(_steps(folder)) if not scheduled or _manifest(path).get("scheduled", True)]
    return _first_whole(paths)


def best_checkpoint(folder: Path) -> Checkpoint | None:
    """The whole checkpoint of the lowest validation loss, the earlier of two equals; None where none has one."""
    return _first_whole(_by_loss([path for _, path in _steps(folder)]))


def _first_whole(paths: list[Path]) -> Checkpoint | None:
    for path in paths:
        step, manifest = int(path.name[5:]), read_manifest(path)
        if problem := _problem(path, step, manifest):
            log.warning("%s is damaged (%s); passed over for the one before", path, problem)
            continue
        assert manifest is not None
        arrays = mx.load(str(path / ARRAYS))
        assert isinstance(arrays, dict)
        mx.eval(arrays)  # now, not when they are first used and the file may be gone
        optional = {name: manifest[name] for name in ("valid_loss", "origin", "scheduled") if name in manifest}
        return Checkpoint(step, arrays, manifest["counters"], **optional)
    return None


def _problem(path: Path, step: int, manifest: dict[str, Any] | None) -> str | None:
    if manifest is None:
        return "no manifest"
    if damaged := damaged_files(path):
        return ", ".join(damaged)
    sealed = {key: value for key, value in manifest.items() if key not in ("seal", "files")}
    if manifest.get("seal", fingerprint(sealed)) != fingerprint(sealed):
        return MANIFEST
    kind, version, sealed_step = (manifest.get(name) for name in ("kind", "version", "step"))
    if kind == "checkpoint" and version != VERSION:
        raise RunError(
            f"{path} was written by another version of Graftline: it is a checkpoint of version {version}, this one "
            f"reads {VERSION}; go on with that Graftline, or give another run_dir, or resume=never"
        )
    if (kind, sealed_step) != ("checkpoint", step) or ARRAYS not in manifest["files"]:
        return f"it says {kind} of step {sealed_step}, not checkpoint of step {step}"
    return None


def _stale(folder: Path, newest: int, *, keep: int, best: bool, every: int | None) -> list[Path]:
    """Checkpoints that need not stay. Later ones than the newest were damaged: the run resumed from before them."""
    steps = _steps(folder)
    sound = [path for step, path in steps if step <= newest]
    scheduled = [path for path in sound if _manifest(path).get("scheduled", True)]
    stay = {*sound[-1:], *scheduled[-keep:]}
    if every is not None:
        stay |= {path for path in sound if int(path.name[5:]) % every == 0}
    if best:
        stay |= {*_by_loss(sound)[:1]}
    return [path for _, path in steps if path not in stay]


def _by_loss(paths: list[Path]) -> list[Path]:
    """The checkpoints that validated, the lowest loss first, the earlier of two equals before the later."""
    scored = [
        (loss, n, path) for n, path in enumerate(paths) if (loss := _manifest(path).get("valid_loss")) is not None
    ]
    return [path for *_, path in sorted(scored)]


def _steps(folder: Path) -> list[tuple[int, Path]]:
    found = [(re.fullmatch(r"step-(\d+)", path.name), path) for path in folder.glob("step-*")]
    return sorted((int(match[1]), path) for match, path in found if match)


def _manifest(path: Path) -> dict[str, Any]:
    return read_manifest(path) or {}
