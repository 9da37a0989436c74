"""checkpoints/step-000100: the arrays of a training state and its counters, committed atomically, the newest kept.

Everything random in training is a function of the seed and the step, and the position in the data is a count of
batches; so the arrays (adapter masters and optimizer state) and a few counters are the whole state.
"""

import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from tasks.artifact import atomic_directory, damaged_files, read_manifest

log = logging.getLogger(__name__)
ARRAYS = "state.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A training state after `step` optimizer steps.

    Attributes:
        step: steps done.
        arrays: by name, the adapter's and the optimizer's.
        counters: plain numbers that go on where they were.
    """

    step: int
    arrays: dict[str, mx.array]
    counters: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Commits a checkpoint under `folder`, then removes all but the newest `keep`."""
    path = folder / f"step-{checkpoint.step:06d}"
    manifest = {"kind": "checkpoint", "version": 1, "step": checkpoint.step, "counters": checkpoint.counters}
    with atomic_directory(path, manifest) as aside:
        arrays = dict(sorted(checkpoint.arrays.items()))
        mx.save_safetensors(str(aside / ARRAYS), arrays, metadata={"format": "mlx"})
    for _, old in _steps(folder)[:-keep]:
        shutil.rmtree(old)
    return path


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None; a damaged one is logged by name and passed over."""
    for step, path in reversed(_steps(folder)):
        manifest = read_manifest(path)
        damaged = damaged_files(path)
        if manifest is None or damaged:
            log.warning("%s is damaged (%s); going back to the one before", path, ", ".join(damaged) or "no manifest")
            continue
        arrays = mx.load(str(path / ARRAYS))
        assert isinstance(arrays, dict)
        return Checkpoint(step, arrays, manifest["counters"])
    return None


def _steps(folder: Path) -> list[tuple[int, Path]]:
    found = [(re.fullmatch(r"step-(\d+)", path.name), path) for path in folder.glob("step-*")]
    return sorted((int(match[1]), path) for match, path in found if match)
