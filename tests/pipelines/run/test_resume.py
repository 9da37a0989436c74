"""What a run may change and still go on: what shapes no step; the rest is refused by its key, with both values."""

from pathlib import Path

import pytest
import yaml

from pipelines.config import Run, compose
from pipelines.run.resume import EXTENDS, FREE, shaping
from pipelines.run.run_dir import open_run
from tasks.errors import RunError
from tasks.settings import Train


def _run(*overrides: str) -> Run:
    return compose(["+experiment=quickstart", *overrides])


def test_free_keys_are_top_level_keys() -> None:
    assert set(FREE) < set(Run.model_fields)
    assert set(shaping(_run())) == set(Run.model_fields) - set(FREE)


def _first(folder: Path, *overrides: str) -> None:
    with open_run(_run(*overrides), folder):
        (folder / "checkpoints/step-000001").mkdir(parents=True)


def test_other_settings_are_refused_by_key(tmp_path: Path) -> None:
    with open_run(_run(), tmp_path):
        (tmp_path / "checkpoints/step-000001").mkdir(parents=True)
    with pytest.raises(RunError, match=r"lora\.rank was 8, is 4"), open_run(_run("lora.rank=4"), tmp_path):
        pass
    with open_run(_run("gpu_lock=fail", "evaluate.generate=1"), tmp_path):
        assert (tmp_path / "checkpoints").is_dir()
    with open_run(_run("lora.rank=4", "resume=never"), tmp_path):
        assert not (tmp_path / "checkpoints").exists()


def test_extend_lets_the_length_change_and_how_often_things_are_done(tmp_path: Path) -> None:
    _first(tmp_path)
    longer = ["train.steps=300", "train.save_every=7", "train.eval_every=9", "train.keep_best=true", "sinks=[jsonl]"]
    with (
        pytest.raises(RunError, match=r"train\.steps was 150, is 300.*or resume=extend"),
        open_run(_run(*longer), tmp_path),
    ):
        pass
    with open_run(_run(*longer, "resume=extend"), tmp_path):
        assert (tmp_path / "checkpoints/step-000001").is_dir()
    with open_run(_run(*longer), tmp_path):  # from now on it is the longer run
        pass


def test_extend_refuses_what_shapes_the_steps_by_key(tmp_path: Path) -> None:
    _first(tmp_path)
    with (
        pytest.raises(RunError, match=r"optim\.lr was 0\.01, is 0\.02") as caught,
        open_run(_run("train.steps=300", "optim.lr=0.02", "resume=extend"), tmp_path),
    ):
        pass
    assert "train.steps" not in str(caught.value)
    assert "resume=extend" not in str(caught.value)


def test_the_keys_of_extend_are_keys() -> None:
    assert set(EXTENDS) <= {f"train.{name}" for name in Train.model_fields}
    # What makes a step what it is may not change, nor what a run does only once it has gone wrong.
    assert {f"train.{name}" for name in Train.model_fields} - {*EXTENDS} == {"train.accumulate", "train.compile"}


def test_a_key_that_came_since_has_its_default(tmp_path: Path) -> None:
    _first(tmp_path)
    plain = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del plain["train"]["keep_best"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain))
    with open_run(_run(), tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "\x00", None])
def test_a_torn_or_lost_config_beside_checkpoints_is_named(text: str | None, tmp_path: Path) -> None:
    _first(tmp_path)
    if text is None:
        (tmp_path / "config.yaml").unlink()
    else:
        (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match=r"config\.yaml cannot be read"), open_run(_run(), tmp_path):
        pass
