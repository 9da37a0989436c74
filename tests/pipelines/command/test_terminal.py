"""Prefect's log stays free of tracebacks for mistakes that the command says in one line."""

import logging

import pytest
from prefect.exceptions import CancelledRun

from pipelines.command.terminal import quiet_user_errors, say_errors_once
from tasks.errors import DataError


@pytest.mark.parametrize(("error", "traceback"), [(DataError("bad row"), False), (ValueError("a bug"), True)])
def test_only_mistakes_lose_their_traceback(error: Exception, traceback: bool) -> None:
    logger = logging.getLogger("prefect.flow_runs")
    before = list(logger.filters)
    quiet_user_errors()
    try:
        record = logger.makeRecord(logger.name, logging.ERROR, "f", 1, "failed", (), (type(error), error, None))
        assert all(rule(record) if callable(rule) else rule.filter(record) for rule in logger.filters)
        assert bool(record.exc_info) is traceback
        if not traceback:
            assert record.getMessage() == "bad row"
    finally:
        for name in ("prefect.flow_runs", "prefect.task_runs"):
            logging.getLogger(name).filters[:] = before


def test_a_cancelled_run_has_no_traceback_in_its_log() -> None:
    logger = logging.getLogger("prefect.flow_runs")
    before = list(logger.filters)
    quiet_user_errors()
    try:
        error = CancelledRun("stopped after step 3")
        record = logger.makeRecord(logger.name, logging.ERROR, "f", 1, "unexpected", (), (type(error), error, None))
        assert not logger.filter(record)
    finally:
        for name in ("prefect.flow_runs", "prefect.task_runs"):
            logging.getLogger(name).filters[:] = before


def test_the_terminal_is_not_told_what_the_command_says_at_its_end() -> None:
    terminal, flow = logging.StreamHandler(), logging.getLogger("prefect.flow_runs")
    root, before = logging.getLogger("prefect"), list(flow.filters)
    root.addHandler(terminal)
    quiet_user_errors()
    say_errors_once()
    try:
        for error, shown in ((DataError("bad row"), False), (ValueError("a bug"), True)):
            record = flow.makeRecord(flow.name, logging.ERROR, "f", 1, "failed", (), (type(error), error, None))
            assert flow.filter(record), "the Prefect UI is told"
            assert bool(terminal.filter(record)) is shown
        for text, shown in {
            "Finished in state Failed('Task run encountered an exception DataError: a.jsonl:3: bad')": False,
            "Finished in state Failed('Task run encountered an exception ValueError: x')": True,
            "Finished in state Completed()": True,
        }.items():
            record = flow.makeRecord(flow.name, logging.ERROR, "f", 1, text, (), None)
            assert bool(terminal.filter(record)) is shown
    finally:
        root.removeHandler(terminal)
        for handler in root.handlers:
            handler.filters.clear()
        for name in ("prefect.flow_runs", "prefect.task_runs", "prefect.engine"):
            logging.getLogger(name).filters[:] = before if name == "prefect.flow_runs" else []
