"""Two commands at once: one run_dir is one run's, one GPU is one run's at a time, and the first is never harmed."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.durability.killing import ROOT, Killed, outcome
from tests.durability.serving import said, started

pytestmark = pytest.mark.flow


@pytest.fixture
def run(tmp_path: Path) -> Killed:
    run = Killed(tmp_path, steps=20)
    run.prepare()
    return run


def refused(run: Killed, run_dir: Path, env: dict[str, str], *more: str) -> str:
    """The one line of a command that is refused while another one stands still."""
    command, whole = [*run.command(run_dir), *more], {**os.environ, **env}
    second = subprocess.run(command, cwd=ROOT, env=whole, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    lines = [line for line in second.stderr.splitlines() if " | INFO " not in line]
    assert len(lines) == 1, second.stderr
    return lines[0]


def test_a_second_run_on_a_run_dir_is_refused_and_the_first_goes_on(run: Killed, tmp_path: Path) -> None:
    run.finish(tmp_path / "alone")
    own = {"GRAFTLINE_GPU_LOCK": str(tmp_path / "other.gpu")}
    taken = f"error: run_dir={tmp_path / 'run'} is in use by another run; wait for it, or give another run_dir"
    with started(run, tmp_path / "run", {}, 2) as first:
        first.send_signal(signal.SIGSTOP)
        assert refused(run, tmp_path / "run", own) == taken
        assert refused(run, tmp_path / "run", own, "resume=never") == taken
        first.send_signal(signal.SIGCONT)
        assert first.wait(300) == 0, said(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "alone")


def test_a_second_run_on_a_gpu_waits_and_says_for_whom_or_is_refused(run: Killed, tmp_path: Path) -> None:
    gpu = {"GRAFTLINE_GPU_LOCK": str(tmp_path / "gpu")}
    with started(run, tmp_path / "first", gpu, 2) as first:
        first.send_signal(signal.SIGSTOP)
        taken = rf"taken by \S+ \(process {first.pid}, {re.escape(str(tmp_path / 'first'))}, since [-0-9]+ [:0-9]+\)"
        line = refused(run, tmp_path / "third", gpu, "gpu_lock=fail")
        assert re.fullmatch(rf"error: the GPU is {taken}; wait for it, or say gpu_lock=wait", line)
        assert not (tmp_path / "third").exists()
        with started(run, tmp_path / "second", gpu, 0) as second:
            while not re.search(rf"waiting for the GPU, {taken}; this run is next", said(tmp_path / "second")):
                assert second.poll() is None, said(tmp_path / "second")
                time.sleep(0.05)
            assert not (tmp_path / "second/metrics.jsonl").exists()
            first.send_signal(signal.SIGCONT)
            assert first.wait(300) == 0, said(tmp_path / "first")
            assert second.wait(300) == 0, said(tmp_path / "second")
    assert said(tmp_path / "second").count("waiting for the GPU") == 1
    assert outcome(tmp_path / "second")["sha256"] == outcome(tmp_path / "first")["sha256"]
