"""Which hours are inside a window, past midnight and over a change of the clock; what leaving it says."""

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from pipelines.window import Window, check_window, within
from tasks.checkpoint.interrupt import stop_on_signal
from tasks.errors import Interrupted, Paused

BERLIN = ZoneInfo("Europe/Berlin")


def _at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-22T22:00", "2026-11-23T06:00"),
        ("2026-11-23T05:59:59", "2026-11-23T06:00"),
        ("2026-11-23T06:00", None),
        ("2026-11-23T12:00", None),
        ("2026-11-22T21:59:59", None),
        ("2026-10-24T23:00", "2026-10-25T06:00"),  # the clock goes back: eight hours, not seven
    ],
)
def test_past_midnight(now: str, end: str | None) -> None:
    assert Window.parse("22:00-06:00 Europe/Berlin").until(_at(now)) == (end and _at(end))


def test_within_one_day_and_to_the_second() -> None:
    window = Window.parse("09:00-12:30:30 Europe/Berlin")
    assert window.until(_at("2026-11-22T09:00")) == _at("2026-11-22T12:30:30")
    assert window.until(_at("2026-11-22T08:59")) is None
    assert window.until(_at("2026-11-22T12:30:30")) is None


def test_without_a_zone_it_is_this_machine_s() -> None:
    now = datetime(2026, 11, 22, 23, 0)
    assert Window.parse("22:00-06:00").until(now.timestamp()) == datetime(2026, 11, 23, 6, 0).timestamp()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("22-6", "write hours and minutes, as in 22:00-06:00"),
        ("22:00-25:00", "write hours and minutes"),
        ("22:00-22:00", "it is empty; null is the whole day"),
        ("22:00-06:00 Mars", "the time zone 'Mars' is not known"),
    ],
)
def test_a_mistake_says_the_form(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_window(text)


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
