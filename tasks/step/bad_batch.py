"""bad_batch.json: which examples a step that was not finite, or a spike, was made of, and where they stand."""

import json
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from tasks.artifact import write_json
from tasks.batch import Rows

BAD_BATCH = "bad_batch.json"
KEPT = 50
"""The most steps that the file names, the newest."""


@runtime_checkable
class Located(Protocol):
    """Rows that know where they came from."""

    @property
    def lines(self) -> np.ndarray:
        """The line of its source of each example, counted from 1."""
        ...

    @property
    def sources(self) -> np.ndarray:
        """Which of the sources each example came from, counted from 0."""
        ...


def write_bad_batch(
    out: Path,
    rows: Rows,
    examples: list[int],
    *,
    why: Literal["not finite", "spike"],
    step: int,
    restores: int,
    loss: float,
    grad_norm: float,
) -> None:
    """Adds a step to bad_batch.json under `out`, in place of what a run that was resumed said of it and later ones.

    Args:
        out: the run directory.
        rows: what is trained on.
        examples: of the step.
        why: what is wrong with it.
        step: counted from 1.
        restores: how often the run had gone back before it, so that a step may stand there more than once.
        loss: of the step; a number that is not finite is written as text.
        grad_norm: of the step.
    """
    path, place = out / BAD_BATCH, (restores, step)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))["steps"]
        earlier = [bad for bad in told if (bad["restores"], bad["step"]) < place]
    except (OSError, ValueError, KeyError, TypeError):
        earlier = []
    found: list[dict[str, Any]] = [{"example": int(index), "tokens": int(rows.lengths[index])} for index in examples]
    if isinstance(rows, Located):
        for entry in found:
            index = entry["example"]
            entry |= {"source": int(rows.sources[index]), "line": int(rows.lines[index])}
    said = {"loss": str(loss), "grad_norm": str(grad_norm), "examples": found}
    write_json(path, {"steps": [*earlier, {"step": step, "why": why, "restores": restores, **said}][-KEPT:]})
