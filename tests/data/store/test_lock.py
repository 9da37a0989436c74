"""The builder's lock."""

import multiprocessing
import time
from pathlib import Path

import pytest

from tasks.data.store.lock import is_locked, only_builder


def _build(path: str, log: str) -> None:
    with only_builder(Path(path)), open(log, "a") as file:
        file.write("in ")
        file.flush()
        time.sleep(0.05)
        file.write("out ")


def test_one_at_a_time(tmp_path: Path):
    start = multiprocessing.get_context("spawn").Process
    builders = [start(target=_build, args=(str(tmp_path / "c"), str(tmp_path / "log"))) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert (tmp_path / "log").read_text() == "in out in out "


def test_what_a_killed_builder_left_goes(tmp_path: Path):
    (tmp_path / ".c.1.tmp").mkdir()
    with only_builder(tmp_path / "c"):
        assert not (tmp_path / ".c.1.tmp").exists()


def test_nothing_is_left_of_a_lock_also_after_an_error(tmp_path: Path):
    def fail() -> None:
        with only_builder(tmp_path / "c"):
            assert (tmp_path / ".c.lock").exists()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not list(tmp_path.iterdir())


def _hold(path: str, log: str) -> None:
    with only_builder(Path(path)):
        Path(log).write_text("held")
        time.sleep(60)


def test_a_dead_holder_frees_it(tmp_path: Path):
    holder = multiprocessing.get_context("spawn").Process(
        target=_hold, args=(str(tmp_path / "c"), str(tmp_path / "log"))
    )
    holder.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    holder.kill()
    holder.join()
    start = time.monotonic()
    with only_builder(tmp_path / "c"):
        assert time.monotonic() - start < 30


def test_a_look_at_a_lock_neither_makes_nor_keeps_one(tmp_path: Path):
    lock = tmp_path / ".c.lock"
    assert not is_locked(lock)
    assert not lock.exists()
    lock.touch()  # what a builder that was killed leaves
    assert not is_locked(lock)
    with only_builder(tmp_path / "c"):
        assert is_locked(lock)
    assert not lock.exists()
