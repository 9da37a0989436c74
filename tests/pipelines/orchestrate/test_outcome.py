"""What a run came to is known without Prefect's server; what Prefect raises in its place is put right."""

import logging

import pytest
from httpx import ConnectError
from prefect.exceptions import CancelledRun

from pipelines.orchestrate.outcome import current_outcome, is_lost, surviving_lost_server
from tasks.errors import Interrupted, RunError

LOST = ConnectError("[Errno 111] Connection refused")


def test_outside_of_a_run_there_is_none() -> None:
    current_outcome().report = {"status": "verified"}
    assert current_outcome().report is None


def test_what_is_not_prefect_s_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), surviving_lost_server():
        _ = 1 / 0


@pytest.mark.parametrize("raised", [LOST, CancelledRun("Cancelled"), RunError("pickled")], ids=repr)
@pytest.mark.parametrize("error", [RunError("the disk is full"), Interrupted("stopped after step 3", 15)], ids=repr)
def test_the_run_s_own_error_stands(error: RunError, raised: Exception) -> None:
    def flow() -> None:
        with surviving_lost_server():
            current_outcome().error = error
            raise raised

    with pytest.raises(type(error)) as caught:
        flow()
    assert caught.value is error


def test_a_report_stands_where_only_the_server_was_lost(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "pipelines")
    with surviving_lost_server() as outcome:
        current_outcome().report = {"status": "verified"}
        raise LOST
    assert outcome.report == {"status": "verified"}
    assert "the Prefect server was lost ([Errno 111] Connection refused)" in caplog.text


def test_a_report_does_not_hide_a_bug() -> None:
    def flow() -> None:
        with surviving_lost_server():
            current_outcome().report = {"status": "verified"}
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        flow()


@pytest.mark.parametrize("error", [LOST, RuntimeError("Failed to reach API at http://127.0.0.1:1/api/")], ids=repr)
def test_no_server_from_the_start_is_one_line_with_the_fix(error: Exception) -> None:
    assert is_lost(error)
    with (
        pytest.raises(RunError, match=r"the Prefect server does not answer \(.*\); start it, or say orchestrate=false"),
        surviving_lost_server(),
    ):
        raise error


def test_a_user_s_own_patience_with_the_server_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES

    with surviving_lost_server():
        assert PREFECT_CLIENT_MAX_RETRIES.value() == 3
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "7")
    with surviving_lost_server():
        assert PREFECT_CLIENT_MAX_RETRIES.value() == 7
