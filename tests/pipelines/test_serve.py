"""What the command line takes, the one line that each mistake gets, and what the server is told."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from pipelines.deploy.deployments import deployments
from pipelines.serve import parse, require_server
from tasks.errors import ConfigError, RunError

ROOT = Path(__file__).resolve().parents[2]


def test_what_can_be_served() -> None:
    assert parse([]) == ("local", {})
    served = parse(["name=studio.2", "+schedule=[nightly,hourly]"])
    assert (served.name, list(served.schedules)) == ("studio.2", ["nightly", "hourly"])
    (only,) = parse(["+schedule=nightly", "schedule.cron=0 23 * * *"]).schedules.values()
    assert only.cron == "0 23 * * *"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nmae=x"], r"serve has no 'nmae=x'; did you mean name\?"),
        (["--cron"], r"serve has no '--cron'; it takes name=, \+schedule= and schedule.KEY="),
        (["name=a/b"], r"name=a/b: write letters"),
        (["schedule.cron=x"], r"schedule.cron=x: no schedule is chosen; say \+schedule=NAME with one of .*nightly"),
        (["+schedule=nightly,hourly", "schedule.cron=x"], r"schedule.cron=x: several schedules are chosen"),
        (["+schedule=nightly", "schedule.window=7-9"], r"schedule nightly: window=\"7-9\": write hours"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse(arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", r"PREFECT_API_URL is not set, so there is no Prefect server to serve to"),
        ("http://127.0.0.1:9/api", r"no Prefect server answers at http://127.0.0.1:9/api \(.*\); start one with"),
    ],
)
def test_no_server(url: str, said: str) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: url} if url else {}, restore_defaults=set() if url else {PREFECT_API_URL}),
        pytest.raises(RunError, match=said) as caught,
    ):
        require_server()
    assert "\n" not in str(caught.value)


@pytest.mark.flow
def test_from_a_fresh_home_one_command_serves_and_takes_its_server_with_it(tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "GRAFTLINE_"))}
    env |= {"PREFECT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "GRAFTLINE_PORT": "0"}
    command, log = [sys.executable, "-m", "pipelines.serve"], tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        until = time.monotonic() + 240
        while "serving finetune/local" not in (said := log.read_text()):
            assert process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.5)
        found = re.search(r"open (\S+), the password is (graftline:\w+)", said)
        assert found is not None, said
        url, password = found.groups()
        assert "<!DOCTYPE html>" in httpx.get(url).text
        user, _, word = password.partition(":")
        assert [httpx.get(f"{url}/api/admin/version", auth=auth).status_code for auth in (None, (user, word))] == [
            401,
            200,
        ]
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        with pytest.raises(httpx.TransportError):
            httpx.get(url)
        assert not (tmp_path / "home" / "profiles.toml").exists(), "nothing that later commands would read"
    finally:
        process.kill()


@pytest.mark.flow
@pytest.mark.filterwarnings("default")  # Prefect's server and its SQL driver warn in their own threads
def test_the_server_schedules_runs_and_refuses_another_experiment(prefect_server: None) -> None:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    served = parse(["name=scheduled", "+schedule=nightly", "schedule.timezone=Europe/Berlin"])
    identity = deployments(*served)[0].apply()
    assert isinstance(identity, UUID)
    require_server()
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
        client.request("POST", "/deployments/{id}/schedule", path_params={"id": identity}, json={"min_runs": 2})
        runs = [run for run in client.read_flow_runs(limit=200) if run.deployment_id == identity]
        assert runs, "nothing was scheduled: does this version of SQLAlchemy fit Prefect?"
        assert all(run.parameters == served.schedules["nightly"].parameters() for run in runs)
        with pytest.raises(PrefectHTTPStatusError, match="'nope' is not one of"):
            client.create_flow_run_from_deployment(identity, parameters={"experiment": "nope"})
