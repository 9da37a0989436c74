"""One GPU: the second run waits and says for whom, or refuses; a dead holder holds nothing."""

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipelines.run.gpu_lock import gpu_lock, lock_path
from tasks.errors import RunError


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))


def _holder(folder: Path) -> "subprocess.Popen[str]":
    code = (
        "import sys; from pathlib import Path; from pipelines.run.gpu_lock import gpu_lock\n"
        f"with gpu_lock('fail', Path({str(folder)!r})): print('held', flush=True); sys.stdin.read()"
    )
    held = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    return held


def test_fail_names_the_holder_and_death_frees(tmp_path: Path) -> None:
    held = _holder(tmp_path / "other")
    try:
        with (
            pytest.raises(RunError, match=rf"process {held.pid} \(.*other\); wait for it, or say gpu_lock=wait"),
            gpu_lock("fail", tmp_path),
        ):
            pass
    finally:
        held.send_signal(signal.SIGKILL)
        held.communicate()
    with gpu_lock("fail", tmp_path):
        assert lock_path().with_suffix(".json").read_text().count(str(os.getpid())) == 1
    assert not lock_path().with_suffix(".json").exists()


def test_wait_says_for_whom(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = _holder(tmp_path / "other")
    threading.Timer(0.7, held.communicate).start()
    logging.getLogger("pipelines").addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.WARNING), gpu_lock("wait", tmp_path):
            pass
    finally:
        logging.getLogger("pipelines").removeHandler(caplog.handler)
    assert f"waiting for the GPU, taken by process {held.pid}" in caplog.text


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "file" / "gpu.lock"))
    with pytest.raises(RunError, match=r"gpu\.lock, cannot be made: .*GRAFTLINE_GPU_LOCK"), gpu_lock("wait", tmp_path):
        pass
