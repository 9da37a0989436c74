"""A run stops when its window closes, and says so; a signal before that is no pause."""

import time

import pytest

from pipelines.run.within import within
from tasks.checkpoint.interrupt import stop_on_signal
from tasks.errors import Interrupted, Paused


def _around(now: float, before: float, after: float) -> str:
    return "-".join(time.strftime("%H:%M:%S", time.gmtime(now + seconds)) for seconds in (before, after)) + " UTC"


def test_training_stops_when_it_closes() -> None:
    window = _around(time.time(), -2, 2)

    def train() -> None:
        with within(window), stop_on_signal() as stop:
            while stop.signum is None:
                time.sleep(0.05)
            raise Interrupted("after step 3", stop.signum)

    with pytest.raises(Paused, match=f"window={window} has closed: after step 3") as caught:
        train()
    assert caught.value.signum == 15


def test_a_signal_before_that_is_no_pause() -> None:
    with pytest.raises(Interrupted) as caught, within(_around(time.time(), -60, 60)):
        raise Interrupted("after step 3", 2)
    assert type(caught.value) is Interrupted


def test_outside_nothing_begins_and_without_one_there_is_no_end() -> None:
    with pytest.raises(Paused, match=r"^it is \d\d:\d\d here, outside window="), within(_around(time.time(), 60, 120)):
        pytest.fail("it began")
    with within(None), stop_on_signal() as stop:
        assert stop.signum is None


def test_training_stops_when_the_clock_goes_back_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In whose hours it is then cannot be known; a clock that is put right by seconds is the same one."""
    now = time.time()
    window = _around(now, -600, 600)

    def train(back: float) -> None:
        with within(window), stop_on_signal() as stop:
            monkeypatch.setattr("time.time", lambda: now - back)
            assert stop.signum == (15 if back > 60 else None)
            monkeypatch.setattr("time.time", lambda: now - back)
            if stop.signum:
                raise Interrupted("after step 3", stop.signum)

    train(5)
    monkeypatch.setattr("time.time", lambda: now)
    with pytest.raises(Paused, match=f"window={window} has closed: after step 3"):
        train(7200)
