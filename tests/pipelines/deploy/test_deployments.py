"""What the web forms show: fields that a person can fill, descriptions whose examples work, tags and schedules."""

from typing import Any

import pytest

from pipelines.config import CONF, EXPERIMENTS
from pipelines.config.form import check_overrides
from pipelines.deploy.deployments import DEPLOYMENTS, deployments
from pipelines.deploy.schedule import read_schedule


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return {str(each.flow_name): each for each in deployments("studio", {"nightly": read_schedule("nightly")})}


def test_each_of_the_table(made: dict[str, Any]) -> None:
    assert list(made) == list(DEPLOYMENTS)
    for flow, each in made.items():
        assert (each.name, each.entrypoint) == ("studio", f"pipelines.{flow}.{flow}")
        assert each.tags == ["graftline", flow]
        assert each.enforce_parameter_schema
        assert each.description == DEPLOYMENTS[flow]
    assert [schedule.slug for schedule in made["finetune"].schedules] == ["nightly"]
    assert made["verify"].schedules == []


def test_the_form_of_finetune_has_a_list_of_experiments_and_one_of_overrides(made: dict[str, Any]) -> None:
    schema = made["finetune"]._parameter_openapi_schema.model_dump()
    experiment, overrides = schema["properties"]["experiment"], schema["properties"]["overrides"]
    assert experiment["type"] == "string"
    assert experiment["enum"] == ["none", *EXPERIMENTS]
    assert experiment["default"] == "none"
    assert (overrides["type"], overrides["items"], overrides["default"]) == ("array", {"type": "string"}, [])
    assert "conf/experiment" in experiment["description"]
    assert "lora.rank=16" in overrides["description"]
    assert not schema.get("required")


@pytest.mark.parametrize(
    ("flow", "needed"), [("evaluate", ["adapter", "rows"]), ("verify", ["adapter"]), ("sweep", ["sweep"])]
)
def test_the_other_forms_ask_for_what_they_need(made: dict[str, Any], flow: str, needed: list[str]) -> None:
    schema = made[flow]._parameter_openapi_schema.model_dump()
    assert schema["required"] == needed
    described = schema["properties"][needed[0]]["description"]
    assert ("outputs/runs/NAME/TIME-ID/adapter" if needed[0] == "adapter" else "conf/sweep") in described


@pytest.mark.parametrize("flow", DEPLOYMENTS)
def test_every_field_is_described_in_words_without_marks(made: dict[str, Any], flow: str) -> None:
    for field in made[flow]._parameter_openapi_schema.model_dump()["properties"].values():
        assert field["description"]
        assert "`" not in field["description"], "the second UI shows backticks as they are"


@pytest.mark.parametrize("flow", DEPLOYMENTS)
def test_the_description_names_overrides_that_work(flow: str) -> None:
    shown = [line.split("`")[1] for line in DEPLOYMENTS[flow].splitlines() if line.startswith("| `")]
    assert len(shown) > 1
    assert check_overrides(shown, besides=("sweep",)) == shown
    assert (CONF / "model" / "qwen3_0_6b.yaml").exists()
