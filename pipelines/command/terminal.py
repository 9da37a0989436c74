"""Says in the terminal what Prefect's log does not, and keeps out of it what is said twice."""

import logging
import re
from typing import Any

from rich.console import Console

from pipelines.orchestrate import private_server
from pipelines.orchestrate.outcome import is_lost
from pipelines.report.run_report import headline
from pipelines.report.terminal_text import HarmlessFormatter, harmless, plain
from tasks.errors import GraftlineError, hide_secrets

_FAILED = re.compile(
    r"Finished in state Failed\(.*\b(" + "|".join(k.__name__ for k in GraftlineError.__subclasses__()) + "):"
)


def show_log() -> None:
    """Sends the log of a run without Prefect to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(HarmlessFormatter("%(asctime)s | %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in ("tasks", "pipelines"):
        logging.getLogger(name).setLevel(logging.INFO)


def ready_for_prefect() -> None:
    """Prepares a command for its flow: no message twice, and the server is up."""
    quiet_user_errors()
    say_errors_once()
    say_lost_server_once()
    private_server.wait()


def quiet_user_errors() -> None:
    """Keeps Prefect from printing a traceback for a mistake or a lost server: the command says it in one line."""

    from prefect.exceptions import CancelledRun

    def without_traceback(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, CancelledRun):  # a flow that ended as Cancelled or Paused, which the line before says
            return False
        if isinstance(error, GraftlineError) or (error is not None and is_lost(error)):
            record.exc_info, record.exc_text = None, None
            record.msg, record.args = "%s", (str(error),)
            record.said_at_end = True
        return True

    for name in ("prefect.flow_runs", "prefect.task_runs", "prefect.engine"):
        logging.getLogger(name).addFilter(without_traceback)


def say_errors_once() -> None:
    """Keeps out of the terminal what the command says at its end; the Prefect UI still shows it."""

    def once(record: logging.LogRecord) -> bool:
        line = record.getMessage()
        record.msg, record.args = harmless(hide_secrets(line)), None
        return not hasattr(record, "said_at_end") and not _FAILED.search(line)

    for name in ("", "prefect"):  # Prefect puts the terminal's handler at the root; those of its children are the UI's
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(once)


def say_lost_server_once() -> None:
    """Keeps out of the terminal the pages that Prefect prints once its server is gone: the run says so in a line."""
    for name in ("prefect.events.clients", "prefect._internal.concurrency"):
        logging.getLogger(name).addFilter(lambda _: False)
    logging.raiseExceptions = False  # what its handler of logs writes by itself


def say_report(report: dict[str, Any]) -> None:
    """The result on standard output: one line of figures, and where the rest is."""
    console = Console()
    console.print(plain(headline(report)), soft_wrap=True)
    console.print(plain(f"{report['run_dir']}/report.md"), soft_wrap=True)
