"""Live progress in a terminal; plain lines, a few a minute, anywhere else."""

import time

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tasks.sink.metrics import StepMetrics
from tasks.sink.sink import SinkContext, Status

GB = 10**9

QUIET_SECONDS = 10.0
"""Off a terminal, the least time between two lines."""


class Console:
    """Shows loss, real tokens a second, memory and the time left.

    Args:
        run: how many steps are done, and how many there are.
        console: where to write; standard error unless given, so that standard output stays for results.
    """

    def __init__(self, run: SinkContext, console: RichConsole | None = None):
        self._console = console or RichConsole(stderr=True)
        self._total, self._start, self._began, self._last = run.last, run.first, time.monotonic(), float("-inf")
        self._progress: Progress | None = None
        if self._console.is_terminal:
            self._progress = Progress(
                TextColumn("train"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[facts]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._progress.add_task("train", total=run.last, completed=run.first, facts="")
            self._progress.start()

    def write(self, metrics: StepMetrics) -> None:
        """Moves the bar, or prints a line if the last one is some seconds old, validated, or is the last."""
        if self._progress is not None:
            self._progress.update(self._task, completed=metrics.step, facts=facts(metrics))
            if metrics.valid_loss is not None:
                self._progress.console.print(f"step {metrics.step}: valid_loss {metrics.valid_loss:.4f}")
            return
        now = time.monotonic()
        if now - self._last >= QUIET_SECONDS or metrics.valid_loss is not None or metrics.step == self._total:
            self._last = now
            left = (now - self._began) / max(1, metrics.step - self._start) * (self._total - metrics.step)
            valid = "" if metrics.valid_loss is None else f"  valid_loss {metrics.valid_loss:.4f}"
            line = f"step {metrics.step}/{self._total}  {facts(metrics)}{valid}  {left:.0f} s left"
            self._console.print(line, highlight=False, soft_wrap=True)

    def close(self, _status: Status) -> None:
        """Takes the bar down."""
        if self._progress is not None:
            self._progress.stop()


def facts(metrics: StepMetrics) -> str:
    """The figures worth a glance, as text."""
    memory = (metrics.active_memory_bytes + metrics.cache_memory_bytes) / GB
    return (
        f"loss {metrics.loss:.4f}  {metrics.tokens_per_second:,.0f} tokens/s  "
        f"memory {memory:.2f} GB, peak {metrics.peak_memory_bytes / GB:.2f} GB"
    )
