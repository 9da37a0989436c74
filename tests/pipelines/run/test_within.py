"""A run stops when its window closes, and says so; a signal before that is no pause."""

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from pipelines.run import within as within_file
from pipelines.run.within import require_open, within
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
    with (
        pytest.raises(Paused, match=r"^it is \d\d:\d\d in UTC, outside window="),
        within(_around(time.time(), 60, 120)),
    ):
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


class _Clock:
    """A clock that sleeping moves on."""

    def __init__(self, now: float):
        self.now, self.slept = now, 0.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now, self.slept = self.now + seconds, self.slept + seconds


def test_the_message_shows_the_window_s_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(within_file, "time", _Clock(0.0))
    with pytest.raises(Paused, match=r"^it is 09:00 in Asia/Tokyo, outside window=22:00-06:00 Asia/Tokyo$"):
        require_open("22:00-06:00 Asia/Tokyo")


@pytest.mark.parametrize(("day", "slept"), [("2027-03-28", 3600.0), ("2027-03-27", None), ("2027-10-31", None)])
def test_a_start_that_the_change_of_clocks_made_early_waits(
    day: str, slept: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    clock = _Clock(datetime.fromisoformat(f"{day}T01:30").replace(tzinfo=berlin).timestamp())
    monkeypatch.setattr(within_file, "time", clock)
    if slept is None:
        with pytest.raises(Paused, match="it is 01:30 in Europe/Berlin"):
            require_open("02:30-06:00 Europe/Berlin")
        return
    end = datetime.fromisoformat(f"{day}T06:00").replace(tzinfo=berlin).timestamp()
    assert require_open("02:30-06:00 Europe/Berlin") == end
    assert clock.slept == slept
