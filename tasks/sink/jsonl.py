"""metrics.jsonl: a line a step, flushed, each step exactly once even after a resume."""

import json
import logging
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from tasks.artifact import write_text
from tasks.artifact.file import flush
from tasks.sink.metrics import StepMetrics
from tasks.sink.sink import SinkContext, Status

log = logging.getLogger(__name__)


class Jsonl:
    """Appends steps to metrics.jsonl in the run directory.

    Args:
        run: lines of steps after its first that an interrupted run left in the file are dropped.
    """

    def __init__(self, run: SinkContext):
        self._path = run.folder / "metrics.jsonl"
        self._file = _open(self._path, run.first)

    def write(self, metrics: StepMetrics) -> None:
        """Appends one line and hands it to the operating system."""
        line = (json.dumps(metrics.line(), allow_nan=False) + "\n").encode()
        while line:  # unbuffered: a full disk says so here, and not again when the file is closed
            line = line[self._file.write(line) :]

    def sync(self) -> None:
        """Waits until every line is on the disk: a checkpoint counts on them."""
        flush(self._file.fileno())

    def rewind(self, step: int) -> None:
        """Drops the lines of steps after this one."""
        self._file.close()
        self._file = _open(self._path, step)

    def close(self, _status: Status) -> None:
        """Closes the file."""
        self._file.close()


def _open(path: Path, done: int) -> FileIO:
    """The file, its lines those of the steps done, open for those to come."""
    kept = {line["step"]: line for line in read_metrics(path) if line["step"] <= done}
    if len(kept) < done:
        log.warning("%s lacks %d of the %d steps done so far", path, done - len(kept), done)
    write_text(path, "".join(json.dumps(line) + "\n" for _, line in sorted(kept.items())))
    return path.open("ab", buffering=0)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file that are whole; a torn one, which a killed run can leave, is not."""
    lines = []
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else []:
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and isinstance(found.get("step"), int):
                lines.append(found)
    return lines
