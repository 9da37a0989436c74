import pytest

from pipelines.config import CONF, compose_plain
from tasks.memory import Memory

PRESETS = sorted(path.stem for path in (CONF / "memory").glob("*.yaml"))


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_decodes(name: str) -> None:
    Memory.model_validate(compose_plain([f"memory={name}"])["memory"])


def test_roomy_is_the_default() -> None:
    assert Memory.model_validate(compose_plain(["memory=roomy"])["memory"]) == Memory()
