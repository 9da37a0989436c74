"""run.log takes what the loggers say and what is for it alone; a full disk costs a line of it and nothing else."""

import errno
import logging
from pathlib import Path

import pytest

from pipelines.run.run_log import RunLog


def test_it_takes_what_is_said_from_its_opening_to_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for round in (1, 2):
        log = RunLog(tmp_path / "run.log")
        logging.getLogger("tasks.train").info("in round %d", round)
        log.say(logging.WARNING, f"alone in {round}", ValueError("the reason"))
        log.close()
        logging.getLogger("tasks.train").info("too late")
    said = (tmp_path / "run.log").read_text()
    assert [said.count(text) for text in ("in round", "alone in", "ValueError: the reason", "process")] == [2, 2, 2, 2]
    assert "too late" not in said
    assert "alone" not in caplog.text


def test_a_full_disk_stops_no_one_who_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RunLog(tmp_path / "run.log")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log._handler.stream, "flush", full, raising=False)
    monkeypatch.setattr(log._handler, "flush", full)
    logging.getLogger("pipelines.x").warning("lost")
    log.close()
