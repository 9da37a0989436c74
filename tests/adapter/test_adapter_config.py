import json

import pytest

from tasks.adapter.adapter_config import CONFIG, read_config
from tasks.errors import AdapterError
from tasks.model import Model
from tests.adapter.saving import saved


def test_what_mlx_lm_writes_is_read_and_what_it_adds_is_passed_over(model_folder, tmp_path):
    saved(tmp_path / "a", Model(path=str(model_folder())))
    path = tmp_path / "a" / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), "optimizer": "adam"}))
    config = read_config(tmp_path / "a")
    assert (config.parameters["rank"], config.last_blocks, config.rule.label) == (4, 3, "rank 4")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rank": 0}, "greater than or equal to 1, not 0"),
        ({"rank": 2**40}, "less than or equal to 65536"),
        ({"scale": "nan"}, "finite number"),
        ({"keys": [1]}, "valid string, not 1"),
    ],
)
def test_a_strength_that_cannot_be_is_named(values, said, damaged):
    config = json.loads((damaged / CONFIG).read_text())
    config["lora_parameters"].update(values)
    (damaged / CONFIG).write_text(json.dumps(config))
    with pytest.raises(AdapterError, match=f"{CONFIG} cannot be read: 'lora_parameters.*{said}"):
        read_config(damaged)
