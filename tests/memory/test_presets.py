from pathlib import Path

import pytest
import yaml

from tasks.memory import Memory

PRESETS = sorted((Path(__file__).resolve().parents[2] / "conf" / "memory").glob("*.yaml"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_each_preset_decodes(path):
    Memory.model_validate(yaml.safe_load(path.read_text()))


def test_roomy_is_the_default():
    roomy = next(path for path in PRESETS if path.stem == "roomy")
    assert Memory.model_validate(yaml.safe_load(roomy.read_text())) == Memory()
