"""Reads a window of hours of the day, as `window=22:00-06:00` writes it."""

import re
from datetime import datetime, timedelta
from datetime import time as clock
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo, available_timezones

_FORM = re.compile(r"(\d\d:\d\d(?::\d\d)?)-(\d\d:\d\d(?::\d\d)?)(?: (\S+))?", re.ASCII)


class Window(NamedTuple):
    """The hours of a day from `opens` to `closes`, past midnight where `closes` is the earlier one.

    Attributes:
        opens: the first moment inside.
        closes: the first moment outside.
        zone: whose clock; None is this machine's.
    """

    opens: clock
    closes: clock
    zone: ZoneInfo | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads 22:00-06:00, or 22:00-06:00 Europe/Berlin.

        Raises:
            ValueError: it is no such text, or an empty window, or an unknown zone.

        Example:
            >>> Window.parse("22:00-06:00").closes
            datetime.time(6, 0)
        """
        match = _FORM.fullmatch(text)
        try:
            opens, closes = (clock.fromisoformat(match[i]) for i in (1, 2)) if match else (None, None)
        except ValueError:
            opens = closes = None
        if match is None or opens is None or closes is None:
            raise ValueError("write hours and minutes, as in 22:00-06:00, or 22:00-06:00 Europe/Berlin")
        if opens == closes:
            raise ValueError("it is empty; null is the whole day")
        if match[3] and match[3] not in available_timezones():
            raise ValueError(f"the time zone {match[3]!r} is not known; write an IANA name, as in Europe/Berlin")
        return cls(opens, closes, ZoneInfo(match[3]) if match[3] else None)

    def until(self, now: float) -> float | None:
        """When the window that is open at `now` closes, both in seconds of the epoch; None where it is not open."""
        today = datetime.fromtimestamp(now, self.zone).date()
        for day in (today - timedelta(days=1), today):
            last = day if self.closes > self.opens else day + timedelta(days=1)
            first, end = (
                datetime.combine(*moment, self.zone).timestamp() for moment in ((day, self.opens), (last, self.closes))
            )
            if first <= now < end:
                return end
        return None

    def late_opening(self, now: float) -> float | None:
        """When the window opens, in seconds of the epoch, if it is shut at `now` only as the clock goes forward.

        On that day a schedule starts what is due at 02:30, an hour that is left out, at 01:30 of the old time. None
        where the window is open, or shut on any other day.

        Example:
            >>> window = Window.parse("02:30-06:00 Europe/Berlin")
            >>> start = datetime(2027, 3, 28, 1, 30, tzinfo=window.zone).timestamp()
            >>> window.late_opening(start) - start, window.late_opening(start - 60)
            (3600.0, None)
        """
        opening = datetime.combine(datetime.fromtimestamp(now, self.zone), self.opens, self.zone).timestamp()
        forward = (self._local(opening).utcoffset() or timedelta()) - (self._local(now).utcoffset() or timedelta())
        return opening if 0 < opening - now <= forward.total_seconds() else None

    def clock(self, now: float) -> str:
        """What the clock that the window goes by shows at `now`.

        Example:
            >>> Window.parse("22:00-06:00 Asia/Tokyo").clock(0.0)
            '09:00 in Asia/Tokyo'
        """
        return f"{self._local(now):%H:%M} {'here' if self.zone is None else f'in {self.zone.key}'}"

    def _local(self, now: float) -> datetime:
        return datetime.fromtimestamp(now, self.zone).astimezone(self.zone)


def check_window(text: str) -> str:
    """Lets through what `Window.parse` can read."""
    Window.parse(text)
    return text
