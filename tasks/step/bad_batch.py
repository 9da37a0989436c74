"""Writes bad_batch.json: the examples of each step that was not finite or was a spike, with their files and lines."""

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
    """Adds a step to bad_batch.json under `out`; entries of this and later steps, from before a resume, are replaced.

    Args:
        out: the run directory.
        rows: what is trained on.
        examples: the examples that the step was made of, by number.
        why: what is wrong with it.
        step: its number, counted from 1.
        restores: how often the run had gone back before it, so that a step may be listed more than once.
        loss: the step's loss; a number that is not finite is written as text.
        grad_norm: the norm of its gradient.
    """
    path, place = out / BAD_BATCH, (restores, step)
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["steps"]
        earlier = [bad for bad in listed if (bad["restores"], bad["step"]) < place]
    except (OSError, ValueError, KeyError, TypeError):
        earlier = []
    entries: list[dict[str, Any]] = [{"example": int(index), "tokens": int(rows.lengths[index])} for index in examples]
    if isinstance(rows, Located):
        for entry in entries:
            index = entry["example"]
            entry |= {"source": int(rows.sources[index]), "line": int(rows.lines[index])}
    bad = {"step": step, "why": why, "restores": restores, "loss": str(loss), "grad_norm": str(grad_norm)}
    write_json(path, {"steps": [*earlier, {**bad, "examples": entries}][-KEPT:]})
