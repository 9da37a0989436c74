"""metrics.jsonl: a line a step, flushed, each step exactly once even after a resume."""

import json
import os
from pathlib import Path
from typing import Any

from tasks.sink.metrics import StepMetrics


class Jsonl:
    """Appends steps to a JSONL file.

    Args:
        path: the file; lines of steps at or after `start` that an interrupted run left there are dropped.
        start: steps already done.
        total: steps of the whole run (a console wants it; this sink does not).
    """

    def __init__(self, path: Path, *, start: int, total: int):
        del total
        kept = [line for line in read_metrics(path) if line["step"] <= start]
        aside = path.with_name(f".{path.name}.tmp")
        aside.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        os.replace(aside, path)
        self._file = path.open("a", encoding="utf-8")

    def write(self, metrics: StepMetrics) -> None:
        """Appends one line and hands it to the operating system."""
        self._file.write(json.dumps(metrics.line()) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a metrics file; a torn last line, which a killed run can leave, is not one."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines if line]
