"""Decides whether a run may go on from the checkpoints of an earlier one: which settings may differ."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.config import Run
from pipelines.run.earlier import differences, earlier_settings, flat
from tasks.errors import RunError

FREE = ("name", "run_dir", "resume", "gpu_lock", "window", "orchestrate", "sinks", "evaluate", "verify", "plan")
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


def shaping(run: Run | Mapping[str, Any]) -> dict[str, Any]:
    """The settings that shape the adapter, as plain values."""
    plain = run.model_dump(mode="json") if isinstance(run, Run) else run
    return {key: value for key, value in plain.items() if key not in FREE}


def check_same(run: Run, folder: Path) -> None:
    """Lets a run go on in a directory whose checkpoints are of the same settings, or that has none.

    Raises:
        RunError: other settings, by key with both values; or what they were cannot be read.
    """
    path = folder / "config.yaml"
    if run.resume == "never" or not any(folder.glob("checkpoints/step-*")):
        return
    settings = earlier_settings(folder)
    if settings is None:
        raise RunError(
            f"{path} cannot be read, so the settings of the checkpoints beside it are unknown; give another run_dir, "
            "or resume=never"
        )
    earlier, now = flat(shaping(settings)), flat(shaping(run))
    free = EXTENDS if run.resume == "extend" else ()
    changed = sorted(key for key in {*earlier, *now} if earlier.get(key) != now.get(key) and key not in free)
    if changed:
        hint = ", or resume=extend" if run.resume == "auto" and set(changed) <= set(EXTENDS) else ""
        raise RunError(
            f"run_dir={folder} has a run of other settings: {differences(changed, earlier, now)}; give another "
            f"run_dir, or resume=never{hint}"
        )
