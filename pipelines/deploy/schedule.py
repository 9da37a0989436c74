"""Reads the schedules of conf/schedule strictly, and checks the run of each before it is served."""

import asyncio
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, ValidationError, model_validator

from pipelines.command.preflight import preflight
from pipelines.config import CONF, compose_plain
from pipelines.config.explain import explain
from pipelines.config.form import check_experiment, check_overrides
from pipelines.config.override import choices
from pipelines.config.window import Window, check_window
from tasks.artifact import Record
from tasks.errors import ConfigError, GraftlineError

if TYPE_CHECKING:
    from prefect.schedules import Schedule as PrefectSchedule

SCHEDULES = tuple(sorted(path.stem for path in (CONF / "schedule").glob("*.yaml")))


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("it is not known; write an IANA name, as in Europe/Berlin")
    return name


class Schedule(Record):
    """A run that starts by itself.

    Attributes:
        deployment: the flow that is started.
        sweep: as in the form of `sweep`; None for `finetune`.
        experiment: the experiment, as in the form of the deployment.
        overrides: the overrides, as in that form.
        cron: the times of start in cron's five fields; give this or `interval`.
        interval: seconds from one start to the next.
        timezone: the time zone of `cron` and `window`; None is this machine's.
        window: the hours it may train in, as in 22:00-06:00; what is not finished then resumes in the next ones.
    """

    deployment: Literal["finetune", "sweep"] = "finetune"
    sweep: str | None = None
    experiment: str = "none"
    overrides: tuple[str, ...] = ()
    cron: str | None = None
    interval: Annotated[int, Field(ge=60)] | None = None
    timezone: Annotated[str, AfterValidator(_timezone)] | None = None
    window: Annotated[str, AfterValidator(check_window)] | None = None

    @model_validator(mode="after")
    def _a_sweep_for_a_sweep(self) -> Self:
        if (self.deployment == "sweep") != (self.sweep is not None):
            raise ValueError(f"deployment=sweep and sweep=NAME go together; got {self.deployment} and {self.sweep}")
        return self

    @model_validator(mode="after")
    def _one_rhythm(self) -> Self:
        if (self.cron is None) == (self.interval is None):
            raise ValueError(f"give cron or interval, one of them; got cron={self.cron}, interval={self.interval}")
        return self

    def zone(self) -> str:
        """The IANA name of the time zone."""
        return self.timezone or local_timezone()

    def parameters(self) -> dict[str, Any]:
        """The parameters of the flow, as a person would fill in its form."""
        hours = self.window and (self.window if " " in self.window else f"{self.window} {self.zone()}")
        return {
            **({"sweep": self.sweep} if self.sweep else {}),
            "experiment": self.experiment,
            "overrides": [*self.overrides, *([f"window={hours}"] if hours else [])],
        }

    def says(self) -> str:
        """The times of start in a few words.

        Example:
            >>> Schedule(cron="0 22 * * *", timezone="UTC", window="22:00-06:00").says()
            "at '0 22 * * *' UTC, in the hours 22:00-06:00"
        """
        rhythm = f"every {self.interval} s" if self.cron is None else f"at {self.cron!r} {self.zone()}"
        return rhythm if self.window is None else f"{rhythm}, in the hours {self.window}"

    def check(self) -> None:
        """Refuses a run that is known to fail.

        Raises:
            GraftlineError: naming the key, its value and the fix.
        """
        run = self.parameters()
        try:
            check_experiment(self.experiment)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        chosen = choices(sweep=self.sweep, experiment=self.experiment)
        if self.sweep is None:
            preflight([*chosen, *check_overrides(run["overrides"])])
        else:
            from pipelines.search.problems import check

            check([*chosen, *check_overrides(run["overrides"], besides=("sweep",))])


def read_schedule(name: str, overrides: Sequence[str] = ()) -> Schedule:
    """conf/schedule/NAME.yaml with overrides such as schedule.cron=..., its run checked.

    Raises:
        ConfigError: in one line: what is wrong, where, and the fix.
    """
    plain = compose_plain([f"+schedule={name}", *overrides])["schedule"]
    try:
        schedule = Schedule.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        problems = "; ".join(explain(detail, Schedule) for detail in error.errors())
        raise ConfigError(f"schedule {name}: {problems}") from None
    try:
        schedule.check()
    except GraftlineError as error:
        raise ConfigError(f"the run of schedule {name}: {error}") from None
    return schedule


def to_prefect(name: str, schedule: Schedule) -> "PrefectSchedule":
    """The schedule as the server takes it; a later one of this name replaces it.

    Raises:
        ConfigError: the cron line cannot be read, or starts a run outside the window.
    """
    from prefect.schedules import Cron, Interval

    zone, run = schedule.zone(), schedule.parameters()
    if schedule.interval is not None:
        return Interval(schedule.interval, timezone=zone, parameters=run, slug=name)
    assert schedule.cron is not None
    try:
        made = Cron(schedule.cron, timezone=zone, parameters=run, slug=name)
    except ValueError:
        fix = 'write five fields, as in "0 22 * * *"'
        raise ConfigError(f"schedule {name}: cron={schedule.cron!r} is no cron line; {fix}") from None
    if schedule.window is not None:
        _require_inside(name, schedule.cron, zone, run["overrides"][-1].removeprefix("window="))
    return made


def _require_inside(name: str, cron: str, zone: str, hours: str) -> None:
    from prefect.server.schemas.schedules import CronSchedule

    window = Window.parse(hours)
    for start in asyncio.run(CronSchedule(cron=cron, timezone=zone).get_dates(24)):
        at = start.timestamp()
        if window.until(at) is None and window.late_opening(at) is None:  # for a late opening the run waits
            raise ConfigError(
                f"schedule {name}: cron={cron!r} starts a run at {start:%H:%M}, outside window={hours}, where it would "
                "only pause; change one of them"
            )


def local_timezone() -> str:
    """The IANA name of this machine's time zone; UTC where it has none."""
    name = os.environ.get("TZ") or os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    return name if name in available_timezones() else "UTC"
