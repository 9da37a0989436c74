"""Prefect's log stays free of tracebacks for mistakes that the command says in one line."""

import logging

import pytest

from pipelines.console import quiet_user_errors
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
