"""One GPU: runs take it in the order of asking, and say for whom they wait; the dead hold nothing."""

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.run.gpu_lock import gpu_lock, lock_path
from tasks.errors import RunError

CHILD = """
import logging, sys
from pathlib import Path
from pipelines.run.gpu_lock import gpu_lock
logging.basicConfig(stream=sys.stdout, format="%(message)s")
with gpu_lock("wait", Path(sys.argv[1]) / sys.argv[2], sys.argv[2]):
    with open(Path(sys.argv[1]) / "order", "a") as order:
        print(sys.argv[2], file=order)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))


class Asking:
    """A process that asks for the GPU, says that it waits, and lets go when its input is closed."""

    def __init__(self, folder: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.said = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def leave(self) -> None:
        self.process.communicate()


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Callable[[str], Asking]]:
    asked: list[Asking] = []

    def ask(name: str) -> Asking:
        asked.append(Asking(tmp_path, name))
        return asked[-1]

    yield ask
    for one in asked:
        one.process.kill()
        one.process.communicate()


@contextmanager
def _heard(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    logging.getLogger("pipelines").addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        yield
    logging.getLogger("pipelines").removeHandler(caplog.handler)


def test_fail_names_the_holder_and_death_frees(tmp_path: Path, asking: Callable[[str], Asking]) -> None:
    held = asking("other")
    said = rf"taken by other \(process {held.process.pid}, .*/other, since [-0-9]+ [:0-9]+\); wait for it, or say"
    with pytest.raises(RunError, match=said), gpu_lock("fail", tmp_path, "x"):
        pass
    held.kill()
    with gpu_lock("fail", tmp_path, "x"), gpu_lock("fail", tmp_path, "again"):
        assert len(list(lock_path().with_suffix(".queue").iterdir())) == 1
    assert not list(lock_path().with_suffix(".queue").iterdir())


def test_the_order_of_asking_is_the_order_of_turns_and_the_dead_hold_up_nobody(
    tmp_path: Path, asking: Callable[[str], Asking]
) -> None:
    first, *waiting = [asking(name) for name in ("a", "b", "killed", "c", "d")]
    assert first.said == "held"
    turns = ["this run is next", "1 more goes before this run", *(f"{n} more go before this run" for n in (2, 3))]
    for one, turn in zip(waiting, turns, strict=True):
        holder, _, rest = one.said.partition(", since ")
        assert holder == f"waiting for the GPU, taken by a (process {first.process.pid}, {tmp_path / 'a'}"
        assert rest.endswith(f"); {turn}")
    b, killed, c, d = waiting
    killed.kill()
    first.kill()
    assert b.line() == "held"
    with pytest.raises(RunError, match="taken by b "), gpu_lock("fail", tmp_path, "x"):
        pass
    for one in (b, c, d):
        one.leave()
    assert (tmp_path / "order").read_text().split() == ["a", "b", "c", "d"]


def test_two_threads_of_a_process_take_turns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    taken, seen = threading.Event(), []

    def other() -> None:
        with gpu_lock("wait", tmp_path, "other"):
            taken.set()
            while "waiting for the GPU" not in caplog.text:
                time.sleep(0.01)
            seen.append("other")

    with _heard(caplog):
        thread = threading.Thread(target=other)
        thread.start()
        assert taken.wait(60)
        with gpu_lock("wait", tmp_path, "this"):
            seen.append("this")
        thread.join()
    assert seen == ["other", "this"]


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "file" / "gpu.lock"))
    with (
        pytest.raises(RunError, match=r"gpu\.lock, cannot be made: .*GRAFTLINE_GPU_LOCK"),
        gpu_lock("wait", tmp_path, "x"),
    ):
        pass
