import errno

import pytest
from safetensors import SafetensorError

from tasks.artifact import disk_problem, is_disk_full, kept_at
from tasks.errors import DataError, RunError

WRAPPED = RuntimeError("could not save")
WRAPPED.__cause__ = OSError(errno.EDQUOT, "quota")


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "no room"), True),
        (OSError(errno.EACCES, "no"), False),
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), True),
        (WRAPPED, True),
        (ValueError("loss"), False),
    ],
    ids=repr,
)
def test_a_full_disk_is_one_however_it_is_said(error, full, tmp_path):
    assert is_disk_full(error, tmp_path) is full


def test_a_write_that_failed_for_no_reason_given_failed_for_want_of_room_if_there_is_none(tmp_path, monkeypatch):
    error = RuntimeError("[write] Unable to write 135 bytes to file.")
    monkeypatch.setattr("tasks.artifact.disk._free", lambda folder: 4096)
    assert is_disk_full(error, tmp_path)
    monkeypatch.setattr("tasks.artifact.disk._free", lambda folder: 1 << 40)
    assert not is_disk_full(error, tmp_path)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "no room"), "the disk is full; make room"),
        (OSError(errno.EROFS, "", "/r/metrics.jsonl"), "Read-only file system (/r/metrics.jsonl); mend the disk"),
        (OSError(errno.EIO, ""), "Input/output error; mend the disk"),
        (OSError(errno.EACCES, "no"), None),
        (ValueError("loss"), None),
    ],
    ids=repr,
)
def test_what_a_disk_refuses_is_said_with_its_fix(error, said, tmp_path):
    assert disk_problem(error, tmp_path) == said
    wrapped = RuntimeError("could not save")
    wrapped.__cause__ = error
    assert disk_problem(wrapped, tmp_path) == said


def test_the_place_that_was_full_is_named(tmp_path):
    with (
        pytest.raises(RunError, match=rf"^the token cache {tmp_path}: the disk is full; make room, then repeat"),
        kept_at(tmp_path, "the token cache"),
    ):
        raise OSError(errno.ENOSPC, "no room")
    for other in (DataError("a row"), ValueError("loss")):
        with pytest.raises(type(other), match=str(other)), kept_at(tmp_path, "the token cache"):
            raise other
