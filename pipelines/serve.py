"""serve: offers finetune to the Prefect UI, and to a schedule, from this machine; one run at a time.

python -m pipelines.serve --cron "0 22 * * *" --experiment quickstart --override train.steps=500
"""

import argparse
import asyncio
import os
import re
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn
from zoneinfo import available_timezones

from pipelines.command import command
from pipelines.config import EXPERIMENTS, check_overrides
from pipelines.preflight import preflight
from tasks.errors import ConfigError, GraftlineError, RunError

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

EXAMPLE = '"0 22 * * *"'
DESCRIPTION = """\
A model and a dataset in, a verified **LoRA adapter** out: tokenize, plan, inject, train, evaluate, verify.

Pick an **experiment**; `none` starts from the defaults of `conf/config.yaml`. Each **override** changes one setting:

| override | what it changes |
|---|---|
| `data.train=/data/chat.jsonl` | the rows to learn from |
| `model=qwen3_0_6b` | a choice of `conf/model` |
| `model.path=/models/mine` | a model folder, or a name on the Hugging Face hub |
| `lora.rank=16` | the size of the adapter |
| `optim.lr=3e-4` | the learning rate |
| `train.steps=500` | how long, in optimizer steps |
| `name=nightly` | the folder under `outputs/runs` |

Paths are those of the machine that serves. Cancelling saves a checkpoint first; a run of the same `run_dir=` goes on.
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every command here does."""

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing the usage and exiting with 2."""
        raise ConfigError(f"{message}; --help shows what there is")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line, its values not yet checked."""
    about, _, example = (__doc__ or "").strip().partition("\n\n")
    parser = Parser("python -m pipelines.serve", description=about, epilog=f"example: {example}", allow_abbrev=False)
    parser.add_argument("--name", default="local", help="the deployment's name, its own on each machine (local)")
    parser.add_argument("--cron", help=f"a schedule in five fields, as in {EXAMPLE}")
    parser.add_argument("--timezone", help="of --cron (this machine's)")
    parser.add_argument("--experiment", choices=["none", *EXPERIMENTS], help="of the run of --cron (none)")
    parser.add_argument("--override", action="append", metavar="KEY=VALUE", help="of the run of --cron; repeatable")
    return parser.parse_args(argv)


def check(argv: Sequence[str]) -> None:
    """Refuses what is known to fail, the scheduled run included, before anything heavy is imported.

    Raises:
        ConfigError: naming the option, its value and the fix.
    """
    options = parse(argv)
    if not re.fullmatch(r"\w[\w.-]*", options.name, re.ASCII):
        raise ConfigError(f"--name {options.name!r}: write letters, digits, '-', '_' and '.', as in local")
    given = [f"--{name}" for name in ("timezone", "experiment", "override") if getattr(options, name)]
    if given and not options.cron:
        raise ConfigError(f"{' and '.join(given)} without --cron: no run is scheduled; add --cron {EXAMPLE}")
    if options.timezone and options.timezone not in available_timezones():
        raise ConfigError(f"--timezone {options.timezone!r} is not known; write an IANA name, as in Europe/Berlin")
    if options.cron:
        run = scheduled(options)
        experiment = [] if run["experiment"] == "none" else [f"+experiment={run['experiment']}"]
        try:
            preflight([*experiment, *check_overrides(run["overrides"])])
        except GraftlineError as error:
            raise ConfigError(f"the run of --cron: {error}") from None


def scheduled(options: argparse.Namespace) -> dict[str, Any]:
    """What the flow is called with on schedule."""
    return {"experiment": options.experiment or "none", "overrides": options.override or []}


def local_timezone() -> str:
    """The IANA name of this machine's time zone; UTC where it does not say."""
    name = os.environ.get("TZ") or os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    return name if name in available_timezones() else "UTC"


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
        fix = "start one with `prefect server start`, and say `prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api`"
        raise RunError(f"PREFECT_API_URL is not set, so there is no Prefect server to serve to; {fix}")
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


def deployment(options: argparse.Namespace) -> "RunnerDeployment":
    """What the server is told: the form of finetune, its description, and the schedule if there is one.

    Raises:
        ConfigError: the cron line cannot be read.
    """
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from pipelines.finetune import finetune

    schedule = None
    if options.cron:
        zone = options.timezone or local_timezone()
        try:
            schedule = Cron(options.cron, timezone=zone, parameters=scheduled(options), slug="cron")
        except ValueError:
            raise ConfigError(f"--cron {options.cron!r} is no cron line; write five fields, as in {EXAMPLE}") from None
    return RunnerDeployment.from_flow(
        finetune,
        name=options.name,
        description=DESCRIPTION,
        tags=["graftline"],
        schedule=schedule,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def main(argv: Sequence[str]) -> None:
    """Registers the deployment and serves it until a signal.

    Raises:
        ConfigError: the cron line cannot be read.
        RunError: no server to serve to.
    """
    from prefect.runner import Runner

    class PatientRunner(Runner):
        """Prefect's, but a signal cancels the run and waits for its checkpoint; Prefect 3.8 kills it unsaved."""

        def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
            self.execute_in_background(self.astop)

    options = parse(argv)
    offered, url = deployment(options), require_server()
    runner = PatientRunner(options.name, limit=1, pause_on_shutdown=False)
    runner.add_deployment(offered)
    when = f", and by itself at {options.cron!r} {options.timezone or local_timezone()}" if options.cron else ""
    print(f"serving finetune/{options.name} through {url.removesuffix('/api')}{when}; Ctrl-C ends it", flush=True)
    signal.signal(signal.SIGINT, runner.handle_sigterm)
    asyncio.run(runner.start())


if __name__ == "__main__":  # a served run is another process, which must not begin to serve
    command("pipelines.serve", check, flags=False)
