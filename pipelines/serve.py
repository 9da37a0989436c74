"""Offers the commands to the Prefect UI and to schedules, from this machine, one run at a time.

python -m pipelines.serve
python -m pipelines.serve +schedule=nightly schedule.experiment=quickstart 'schedule.cron=0 23 * * *'
python -m pipelines.serve '+schedule=[nightly,weekend]' name=studio

name=NAME              the deployments' name, its own on each machine; local unless given
+schedule=NAME         a file of conf/schedule; or several, as in '+schedule=[nightly,weekend]'
schedule.KEY=VALUE     changes a key of that file
"""

import asyncio
import re
import signal
from collections.abc import Sequence
from typing import Any, NamedTuple

from pipelines.command.line import command
from pipelines.deploy.schedule import SCHEDULES, Schedule, read_schedule
from tasks.errors import ConfigError, RunError, suggest


class Served(NamedTuple):
    """What the command line asks for: the deployments' name, and the schedules by theirs."""

    name: str
    schedules: dict[str, Schedule]


def parse(arguments: Sequence[str]) -> Served:
    """Reads and checks the command line, the scheduled runs included, before anything heavy is imported.

    Raises:
        ConfigError: naming the key, its value and the fix.
    """
    name, chosen, changes = "local", list[str](), list[str]()
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "name":
            name = value
        elif key in ("schedule", "+schedule"):
            chosen += value.strip("[]").split(",")
        elif key.startswith(("schedule.", "+schedule.")):
            changes.append(argument)
        else:
            fix = suggest(key, ["name", "schedule"], "it takes name=, +schedule= and schedule.KEY=; --help says more")
            raise ConfigError(f"serve has no {argument!r}; {fix}")
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise ConfigError(f"name={name}: write letters, digits, '-', '_' and '.', as in local")
    if changes and len(chosen) != 1:
        wrong = "several schedules are" if chosen else "no schedule is"
        raise ConfigError(f"{changes[0]}: {wrong} chosen; say +schedule=NAME with one of {', '.join(SCHEDULES)}")
    return Served(name, {schedule: read_schedule(schedule, changes) for schedule in chosen})


def require_server() -> str:
    """The address of the Prefect server, once it has answered.

    Raises:
        RunError: none is named, none answers, or it refuses this client.
    """
    from httpx import HTTPError, HTTPStatusError
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        raise RunError("PREFECT_API_URL is not set, so there is no Prefect server to serve to")
    try:
        with get_client(sync_client=True) as client:
            client.api_version()
    except HTTPStatusError as error:
        code = error.response.status_code
        fix = "set PREFECT_API_AUTH_STRING to the server's" if code == 401 else "PREFECT_API_URL should end in /api"
        raise RunError(f"the Prefect server at {url} answers {code}; {fix}") from None
    except HTTPError as error:
        fix = "start one with `prefect server start`, or correct PREFECT_API_URL"
        raise RunError(f"no Prefect server answers at {url} ({error}); {fix}") from None
    return url


def main(arguments: Sequence[str]) -> None:
    """Registers the deployments and serves them until a signal.

    Raises:
        ConfigError: a cron line cannot be read.
        RunError: no server to serve to.
    """
    from prefect.client.orchestration import get_client
    from prefect.runner import Runner
    from prefect.settings import PREFECT_API_URL

    from pipelines.deploy.deployments import deployments
    from pipelines.deploy.own_server import start_own_server
    from pipelines.deploy.zombies import install
    from pipelines.orchestrate.served_run import starting_served_runs

    class PatientRunner(Runner):
        """Prefect's, but a signal cancels the run and waits for its checkpoint; Prefect 3.8 kills it unsaved."""

        def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
            self.execute_in_background(self.astop)

    served = parse(arguments)
    offered = deployments(served.name, served.schedules)
    if not PREFECT_API_URL.value():
        print(start_own_server(), flush=True)
    url = require_server()
    with get_client(sync_client=True) as client:
        install(client)
    runner = PatientRunner(served.name, limit=1, pause_on_shutdown=False)
    for deployment in offered:
        runner.add_deployment(deployment)
    names = ", ".join(f"{deployment.flow_name}/{deployment.name}" for deployment in offered)
    print(f"serving {names} through {url.removesuffix('/api')}; Ctrl-C ends it", flush=True)
    for name, schedule in served.schedules.items():
        print(f"{name}: {schedule.deployment} {schedule.says()}", flush=True)
    signal.signal(signal.SIGINT, runner.handle_sigterm)
    with starting_served_runs():
        asyncio.run(runner.start())


if __name__ == "__main__":  # a served run is another process, which must not begin to serve
    command("pipelines.serve", parse, flags=False, keys=False)
