"""Leases: one worker at a time, a dead one's is taken over, a slow one notices."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pipelines.search.lease import Leases, TakenOver
from pipelines.search.storage import Storage


def _leases(folder: Path, grace: float = 0.3, where: str = "here") -> Leases:
    return Leases(Storage(f"sqlite:///{folder / 'study.db'}"), "s", folder / where, grace=grace)


def _eventually(take: Callable[[], bool], within: float = 20.0) -> bool:
    until = time.monotonic() + within
    while not (taken := take()) and time.monotonic() < until:
        time.sleep(0.02)
    return taken


def test_one_takes_and_the_others_do_not(tmp_path: Path) -> None:
    a, b = _leases(tmp_path, grace=60), _leases(tmp_path, grace=60)
    with a.working(), b.working():
        assert a.take(0, None)
        assert not b.take(0, None)
        assert not b.take(0, b.rows()[0])
        a.give_back(0)
        seen = b.rows()[0]
        assert b.take(0, seen)
        assert not a.take(0, seen)  # it has been taken since


def test_a_dead_worker_of_this_machine_holds_nothing(tmp_path: Path) -> None:
    a, b = _leases(tmp_path, grace=3600), _leases(tmp_path, grace=3600)
    with suppress(KeyError), a.working():
        assert a.take(0, None)
        raise KeyError
    assert b.take(0, b.rows()[0])
    assert b.rows()[0].claims == 2


def test_a_worker_elsewhere_is_dead_after_the_grace(tmp_path: Path) -> None:
    a, b = _leases(tmp_path, where="there"), _leases(tmp_path)
    with a.working():
        assert a.take(0, None)
        assert not b.take(0, b.rows()[0])
        assert _eventually(lambda: b.take(0, b.rows()[0]))


def test_who_beats_is_not_dead_and_its_seconds_add_up(tmp_path: Path) -> None:
    a, b = _leases(tmp_path, where="there"), _leases(tmp_path)
    with a.working():
        assert a.take(0, None)
        with a.beating(0) as beat:
            for _ in range(30):
                assert not b.take(0, b.rows()[0])
                time.sleep(0.03)
            beat.check()
    assert b.rows()[0].seconds > 0.5


def test_who_was_away_for_too_long_notices(tmp_path: Path) -> None:
    a, b = _leases(tmp_path, grace=60, where="there"), _leases(tmp_path, grace=0.05)
    assert a.take(0, None)
    assert _eventually(lambda: b.take(0, b.rows()[0]))
    with a.beating(0) as beat:
        pass
    with pytest.raises(TakenOver, match="trial 0 was taken over by another worker"):
        beat.check()
    a.give_back(0)
    assert b.rows()[0].owner is not None  # what is another's is not given back


def test_the_locks_of_the_dead_are_cleared(tmp_path: Path) -> None:
    a, b = _leases(tmp_path), _leases(tmp_path)
    with suppress(KeyError), b.working():
        raise KeyError
    with a.working():
        assert len([*(tmp_path / "here").iterdir()]) == 2
        a.clear()
        assert len([*(tmp_path / "here").iterdir()]) == 1
    assert not [*(tmp_path / "here").iterdir()]
