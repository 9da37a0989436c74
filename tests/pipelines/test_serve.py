"""What the web form shows, what the command line takes, and the one line that each mistake gets."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from pipelines.config import CONF, EXPERIMENTS, check_overrides
from pipelines.serve import DESCRIPTION, check, deployment, local_timezone, parse, require_server, scheduled
from tasks.errors import ConfigError, RunError

ROOT = Path(__file__).resolve().parents[2]
NIGHTLY = ["--cron", "0 22 * * *", "--timezone", "Europe/Berlin", "--experiment", "quickstart"]


def test_the_form_has_a_list_of_experiments_and_one_of_overrides() -> None:
    schema = deployment(parse([]))._parameter_openapi_schema.model_dump()
    experiment, overrides = schema["properties"]["experiment"], schema["properties"]["overrides"]
    assert experiment["type"] == "string"
    assert experiment["enum"] == ["none", *EXPERIMENTS]
    assert experiment["default"] == "none"
    assert (overrides["type"], overrides["items"], overrides["default"]) == ("array", {"type": "string"}, [])
    assert "conf/experiment" in experiment["description"]
    assert "lora.rank=16" in overrides["description"]
    assert "`" not in experiment["description"] + overrides["description"], "the second UI shows backticks as they are"
    assert not schema.get("required")


def test_the_description_names_overrides_that_work() -> None:
    shown = [line.split("`")[1] for line in DESCRIPTION.splitlines() if line.startswith("| `")]
    assert len(shown) > 4
    assert check_overrides(shown) == shown
    assert (CONF / "model" / "qwen3_0_6b.yaml").exists()


def test_the_deployment() -> None:
    made = deployment(parse(["--name", "studio"]))
    assert (made.name, made.flow_name, made.entrypoint) == ("studio", "finetune", "pipelines.finetune.finetune")
    assert made.tags == ["graftline"]
    assert made.schedules == []
    assert made.enforce_parameter_schema


def test_a_schedule_carries_its_run() -> None:
    options = parse([*NIGHTLY, "--override", "train.steps=5", "--override", "name=nightly"])
    (schedule,) = deployment(options).schedules or []
    assert schedule.schedule is not None
    assert schedule.schedule.model_dump(include={"cron", "timezone"}) == {
        "cron": "0 22 * * *",
        "timezone": "Europe/Berlin",
    }
    run = {"experiment": "quickstart", "overrides": ["train.steps=5", "name=nightly"]}
    assert schedule.parameters == run == scheduled(options)
    assert scheduled(parse([])) == {"experiment": "none", "overrides": []}
    json.dumps(run)


def test_what_can_be_served() -> None:
    check([])
    check(["--name", "studio.2"])
    check([*NIGHTLY, "--override", "train.steps=5"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nmae", "x"], r"unrecognized arguments: --nmae x; --help"),
        (["--cron"], r"argument --cron: expected one argument"),
        (["--name", "a/b"], r"--name 'a/b': write letters"),
        (["--override", "a=1"], r"--override without --cron: no run is scheduled; add --cron \"0 22"),
        (["--experiment", "none", "--timezone", "UTC"], r"--timezone and --experiment without --cron"),
        ([*NIGHTLY, "--timezone", "Mars"], r"--timezone 'Mars' is not known; write an IANA name"),
        ([*NIGHTLY, "--experiment", "quick"], r"invalid choice: 'quick' \(choose from"),
        ([*NIGHTLY, "--override", "hydra.run.dir=x"], r"the run of --cron: the override 'hydra.run.dir=x'"),
        ([*NIGHTLY, "--override", "lora.rnk=3"], r"the run of --cron: lora.rnk=3: .* did you mean lora.rank"),
        (
            [*NIGHTLY, "--override", "data.train=/nope.jsonl"],
            r"the run of --cron: data.train: /nope.jsonl: no such file",
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check(arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cron", ["0 22 * *", "99 22 * * *", "nightly"])
def test_a_bad_cron_line(cron: str) -> None:
    with pytest.raises(ConfigError, match=r"is no cron line; write five fields, as in \"0 22"):
        deployment(parse(["--cron", cron]))


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


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", r"PREFECT_API_URL is not set.*`prefect server start`.*`prefect config set PREFECT_API_URL="),
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
def test_the_command_says_it_in_one_line_and_exits_1(tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | {"PREFECT_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pipelines.serve"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: PREFECT_API_URL is not set")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.flow
@pytest.mark.filterwarnings("default")  # Prefect's server and its SQL driver warn in their own threads
def test_the_server_schedules_runs_and_refuses_another_experiment(prefect_server: None) -> None:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    identity = deployment(parse(["--name", "scheduled", *NIGHTLY])).apply()
    assert isinstance(identity, UUID)
    require_server()
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
        client.request("POST", "/deployments/{id}/schedule", path_params={"id": identity}, json={"min_runs": 2})
        runs = [run for run in client.read_flow_runs(limit=200) if run.deployment_id == identity]
        assert runs, "nothing was scheduled: does this version of SQLAlchemy fit Prefect?"
        assert all(run.parameters == {"experiment": "quickstart", "overrides": []} for run in runs)
        with pytest.raises(PrefectHTTPStatusError, match="'nope' is not one of"):
            client.create_flow_run_from_deployment(identity, parameters={"experiment": "nope"})
