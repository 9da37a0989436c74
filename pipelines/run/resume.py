"""Which settings a run may change and still go on from the checkpoints of an earlier one."""

import json
from pathlib import Path
from typing import Any

import yaml

from pipelines.config import Run, decode
from tasks.errors import ConfigError, RunError

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


def shaping(run: Run) -> dict[str, Any]:
    """The settings that shape the adapter, as plain values."""
    return {key: value for key, value in run.model_dump(mode="json").items() if key not in FREE}


def check_same(run: Run, folder: Path) -> None:
    """Lets a run go on in a directory whose checkpoints are of the same settings, or that has none.

    Raises:
        RunError: other settings, by key with both values; or what they were cannot be read.
    """
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
