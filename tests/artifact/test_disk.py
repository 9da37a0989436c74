import errno

import pytest
from safetensors import SafetensorError

from tasks.artifact import is_disk_full

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
