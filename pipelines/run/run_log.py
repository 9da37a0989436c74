"""Writes run.log: the log of a run, and what the command itself says at its end."""

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from pipelines.report.terminal_text import HarmlessFormatter

LOGGERS = ("tasks", "pipelines")


class RunLog:
    """The log of one run, appended to, from now until it is closed.

    Args:
        path: the file.
    """

    def __init__(self, path: Path):
        self._handler = _Handler(path, encoding="utf-8")
        self._handler.setFormatter(HarmlessFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.INFO)
            logging.getLogger(name).addHandler(self._handler)
        self.say(logging.INFO, f"process {os.getpid()}, {' '.join(sys.argv)}")

    def say(self, level: int, text: str, error: Exception | None = None) -> None:
        """Writes a line into this log alone: in the terminal the command says it, once."""
        exc_info = None if error is None else (type(error), error, error.__traceback__)
        self._handler.handle(logging.LogRecord("pipelines", level, __file__, 0, text, None, exc_info))

    def close(self) -> None:
        """Ends it."""
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self._handler)
        with suppress(OSError):  # a full disk, which has been said
            self._handler.close()


class _Handler(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A line that a full disk does not take is lost: the run stops by itself, at the first thing that matters."""
