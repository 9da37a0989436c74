"""Progress of the tokenizing of a large source: a bar on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_PATIENCE = 2.0  # seconds in which nothing is said
_EVERY = 15.0  # seconds between two lines


class Tokenizing:
    """Shows on standard error how many rows are tokenized; nothing where it takes but a moment.

    Args:
        total: the bytes of all sources; None where that is not known.
        console: where to; standard error.

    Example:
        >>> with Tokenizing(100) as progress:
        ...     progress.advance(rows=3, size=50)
    """

    def __init__(self, total: int | None, console: Console | None = None):
        self._total, self._console = total, console or Console(stderr=True)
        self._rows, self._size = 0, 0
        self._start = self._said = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> "Tokenizing":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None):
        if self._bar is not None:
            self._bar.stop()

    def advance(self, *, rows: int, size: int) -> None:
        """Counts further rows that are done.

        Args:
            rows: how many.
            size: bytes that were read for them.
        """
        self._rows, self._size = self._rows + rows, self._size + size
        now = time.monotonic()
        if self._console.is_terminal:
            if now - self._start >= _PATIENCE:
                self._show(now)
        elif now - self._said >= _EVERY:
            self._said = now
            self._console.print(f"tokenizing: {self._figures(now)}", highlight=False, soft_wrap=True)

    def _show(self, now: float) -> None:
        if self._bar is None:
            text = TextColumn("tokenizing {task.fields[figures]}")
            self._bar = Progress(BarColumn(), text, TimeRemainingColumn(), console=self._console, transient=True)
            self._bar.start()
            self._bar.add_task("", total=self._total, figures="")
        self._bar.update(self._bar.task_ids[0], completed=self._size, figures=self._figures(now))

    def _figures(self, now: float) -> str:
        of = "" if self._total is None else f", {self._size / 1e6:,.0f} of {self._total / 1e6:,.0f} MB"
        return f"{self._rows:,} rows{of}, {self._rows / max(now - self._start, 1e-9):,.0f} rows/s"
