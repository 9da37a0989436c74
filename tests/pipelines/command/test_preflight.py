"""Files that a configuration names are looked for before anything is started; all that is missing is said at once."""

from pathlib import Path

import pytest

from pipelines.command.preflight import preflight
from tasks.errors import ConfigError

STARTER = "model.path=examples/starter/model"


def test_what_is_there_passes() -> None:
    assert preflight(["+experiment=quickstart"]).name == "quickstart"


def test_everything_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        preflight(["data.train=no.jsonl", "data.test=nor.jsonl", f"model.path={tmp_path}/nowhere"])
    message = str(caught.value)
    assert message.startswith("3 problems")
    assert all(word in message for word in ("no.jsonl", "nor.jsonl", "nowhere"))


def test_a_warm_up_that_is_longer_than_the_run() -> None:
    with pytest.raises(ConfigError, match=r"optim.warmup is 10 steps, the run has 5: give fewer, or a share"):
        preflight(["+experiment=quickstart", "train.steps=5", "optim.warmup=10"])


def test_a_folder_without_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no weights \(model\*\.safetensors\)"):
        preflight(["+experiment=quickstart", f"model.path={tmp_path}"])


def test_a_hub_id_is_not_looked_for() -> None:
    assert preflight(["data.train=owner/rows", "model.path=owner/model"]).model.path == "owner/model"


@pytest.mark.parametrize("path", ["nowhere", "./a/b", "a/b/c"])
def test_what_is_neither_folder_nor_hub_id(path: str) -> None:
    with pytest.raises(ConfigError, match="no such folder, and it is no hub id"):
        preflight(["+experiment=quickstart", f"model.path={path}"])


def test_a_run_dir_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"run_dir=.*/file is a file"):
        preflight(["+experiment=quickstart", f"run_dir={tmp_path / 'file'}"])
    assert preflight(["+experiment=quickstart", f"run_dir={tmp_path / 'new'}"]).run_dir == str(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    with pytest.raises(ConfigError, match="empty"):
        preflight([f"data.train={tmp_path / 'rows.jsonl'}", STARTER])


def test_every_source_of_a_mixture_is_looked_for() -> None:
    with pytest.raises(ConfigError) as caught:
        preflight(["data.train=[no.jsonl,{path: nor.jsonl, weight: 3},owner/rows]", STARTER])
    assert all(f"data.train: {name}: no such file" in str(caught.value) for name in ("no.jsonl", "nor.jsonl"))
