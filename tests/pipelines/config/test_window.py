"""Which hours are inside a window, past midnight and over a change of the clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from pipelines.config.window import Window, check_window

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
