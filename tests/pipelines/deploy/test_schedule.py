"""Schedules come from files, are decoded strictly, and carry a run that is known to start."""

import json
import os
from datetime import datetime

import pytest

from pipelines.config import compose
from pipelines.deploy.schedule import SCHEDULES, Schedule, local_timezone, read_schedule, to_prefect
from tasks.errors import ConfigError


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_file_is_one_that_can_be_served(name: str) -> None:
    schedule = read_schedule(name)
    assert to_prefect(name, schedule).slug == name


def test_a_schedule_carries_its_run() -> None:
    changes = ["schedule.overrides=['train.steps=50','name=mine']", "schedule.timezone=Europe/Berlin"]
    schedule = read_schedule("nightly", changes)
    run = {"experiment": "quickstart", "overrides": ["train.steps=50", "name=mine", "window=22:00-06:00 Europe/Berlin"]}
    assert schedule.parameters() == run
    assert compose(["+experiment=quickstart", *run["overrides"]]).window == "22:00-06:00 Europe/Berlin"
    made = to_prefect("nightly", schedule)
    assert (made.cron, made.timezone, made.parameters) == ("0 22 * * *", "Europe/Berlin", run)
    json.dumps(made.parameters)


def test_an_interval() -> None:
    made = to_prefect("often", Schedule(interval=600, timezone="UTC"))
    assert made.interval is not None
    assert made.interval.total_seconds() == 600
    assert made.parameters == {"experiment": "none", "overrides": []}


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("nigtly", [], r"schedule=nigtly: there is no such choice; did you mean nightly\?"),
        ("nightly", ["schedule.crn=x"], r"schedule nightly: crn=\"x\": there is no such key; did you mean cron\?"),
        (
            "nightly",
            ["schedule.interval=60"],
            r"give cron or interval, one of them; got cron=0 22 \* \* \*, interval=60",
        ),
        ("nightly", ["schedule.cron=null"], r"give cron or interval, one of them; got cron=None, interval=None"),
        ("hourly", ["schedule.interval=5"], r"schedule hourly: interval=5: give a number of at least 60"),
        ("nightly", ["schedule.timezone=Mars"], r"timezone=\"Mars\": it is not known; write an IANA name"),
        ("nightly", ["schedule.window=22-6"], r"window=\"22-6\": write hours and minutes, as in 22:00-06:00"),
        ("nightly", ["schedule.deployment=plan"], r"deployment=\"plan\": choose from finetune, sweep"),
        ("nightly", ["schedule.deployment=sweep"], r"deployment=sweep and sweep=NAME go together; got sweep and None"),
        ("nightly_search", ["schedule.sweep=rates"], r"sweep=rates: there is no such choice"),
        ("nightly", ["schedule.experiment=quick"], r"the run of schedule nightly: there is no experiment 'quick'"),
        ("nightly", ["schedule.overrides=['hydra.run.dir=x']"], r"the override 'hydra.run.dir=x' is not allowed here"),
        ("nightly", ["schedule.overrides=['lora.rnk=3']"], r"the run of schedule nightly: lora.rnk=3: .* lora.rank"),
        ("nightly", ["schedule.overrides=['data.train=/nope.jsonl']"], r"data.train: /nope.jsonl: no such file"),
    ],
)
def test_a_mistake_is_one_line(name: str, change: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_schedule(name, change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cron", ["0 22 * *", "99 22 * * *", "nightly"])
def test_a_bad_cron_line(cron: str) -> None:
    with pytest.raises(ConfigError, match=r"is no cron line; write five fields, as in \"0 22"):
        to_prefect("mine", Schedule(cron=cron))


def test_a_start_outside_the_window_would_only_pause() -> None:
    with pytest.raises(ConfigError, match=r"cron='0 9,23 \* \* \*' starts a run at 09:00, outside window=22:00-06:00"):
        to_prefect("mine", Schedule(cron="0 9,23 * * *", window="22:00-06:00", timezone="Europe/Berlin"))


@pytest.mark.parametrize(("day", "hour"), [("2027-03-27", "01:30+01:00"), ("2027-10-30", "02:30+02:00")])
def test_a_change_of_clocks_is_no_reason_to_refuse(day: str, hour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.server.schemas.schedules import CronSchedule

    dates, starts = CronSchedule.get_dates, list[str]()

    async def around_the_change(self: CronSchedule, n: int) -> list[datetime]:
        found = await dates(self, n, start=datetime.fromisoformat(f"{day}T12:00+00:00"))
        starts.extend(start.isoformat() for start in found)
        return [*found]

    monkeypatch.setattr(CronSchedule, "get_dates", around_the_change)
    to_prefect("mine", Schedule(cron="30 2 * * *", window="02:30-06:00", timezone="Europe/Berlin"))
    assert starts[0].endswith(hour.replace("+", ":00+"))


def test_the_time_zone_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert local_timezone() == "Europe/Berlin"
    monkeypatch.delenv("TZ")
    for real, name in {
        "/var/db/timezone/zoneinfo/America/New_York": "America/New_York",
        "/usr/share/zoneinfo/Etc/UTC": "Etc/UTC",
        "/etc/localtime": "UTC",
    }.items():
        monkeypatch.setattr(os.path, "realpath", lambda _, real=real: real)
        assert local_timezone() == name
