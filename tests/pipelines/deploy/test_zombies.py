"""What the server is told to watch for, and that telling it again changes nothing."""

import tomllib
from pathlib import Path

import pytest

from pipelines.deploy.zombies import NAME, SILENCE, automation, install

ROOT = Path(__file__).resolve().parents[3]


def test_silence_is_several_heartbeats() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["prefect"]
    assert SILENCE.total_seconds() > 5 * settings["flows"]["heartbeat_frequency"]


def test_any_sign_of_a_run_counts_even_a_state_with_a_name_of_ours() -> None:
    trigger = automation().trigger
    assert trigger.type == "event"
    assert trigger.expect == {"prefect.flow-run.*"}
    assert trigger.for_each == {"prefect.resource.id"}


@pytest.mark.flow
@pytest.mark.filterwarnings("default")  # Prefect's server and its SQL driver warn in their own threads
def test_installing_it_again_leaves_it_alone_and_an_older_one_is_brought_up_to_date(prefect_server: None) -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        install(client)
        (first,) = client.read_automations_by_name(NAME)
        install(client)
        assert client.read_automations_by_name(NAME) == [first], "an update makes the server forget whom it waits for"
        older = automation().model_copy(update={"description": "older", "enabled": False})
        client.update_automation(first.id, older)
        install(client)
        (last,) = client.read_automations_by_name(NAME)
        assert (last.id, last.description) == (first.id, first.description)
        assert not last.enabled, "who switched it off wants it off"
