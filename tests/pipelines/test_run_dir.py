"""A run directory is one run's at a time, is gone on with by the same settings only, and is complete or removed."""

import json
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from pipelines.config import Run, compose
from pipelines.run_dir import FREE, new_run_dir, open_run, seal, shaping
from tasks.errors import DataError, RunError


def _run(*overrides: str) -> Run:
    return compose(["+experiment=quickstart", *overrides])


def test_each_run_has_a_place_of_its_own() -> None:
    first, second = new_run_dir(_run()), new_run_dir(_run())
    assert first != second
    assert first.parent == second.parent
    assert first.parent.parts[-3:] == ("outputs", "runs", "quickstart")


def test_a_named_place(tmp_path: Path) -> None:
    assert new_run_dir(_run(f"run_dir={tmp_path}")) == tmp_path


def test_the_config_is_enough_to_run_again(tmp_path: Path) -> None:
    run = _run("lora.rank=4")
    with open_run(run, tmp_path / "run"):
        pass
    assert Run.model_validate_json(json.dumps(yaml.safe_load((tmp_path / "run/config.yaml").read_text()))) == run
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["config.yaml", "run.log"]


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    with open_run(_run(), tmp_path), pytest.raises(RunError, match="in use by another run"), open_run(_run(), tmp_path):
        pass
    with open_run(_run(), tmp_path):
        assert not FileLock(tmp_path / ".lock").is_locked


def test_a_new_directory_without_a_step_is_removed_on_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError), open_run(_run(), tmp_path / "run"):
        raise DataError("bad row")
    assert not (tmp_path / "run").exists()


def test_what_was_trained_stays_on_an_error(tmp_path: Path) -> None:
    def train() -> None:
        (tmp_path / "run/checkpoints/step-000001").mkdir(parents=True)
        raise RunError("nan")

    with pytest.raises(RunError), open_run(_run(), tmp_path / "run"):
        train()
    assert (tmp_path / "run/checkpoints/step-000001").is_dir()
    assert "nan" in (tmp_path / "run/run.log").read_text()


def test_a_crash_is_kept_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_run(_run(), tmp_path / "run"):
        _ = 1 / 0
    assert "ZeroDivisionError" in (tmp_path / "run/run.log").read_text()


def test_other_settings_are_refused_by_key(tmp_path: Path) -> None:
    with open_run(_run(), tmp_path):
        (tmp_path / "checkpoints/step-000001").mkdir(parents=True)
    with pytest.raises(RunError, match=r"lora\.rank was '8', is '4'"), open_run(_run("lora.rank=4"), tmp_path):
        pass
    with open_run(_run("gpu_lock=fail", "evaluate.generate=1"), tmp_path):
        assert (tmp_path / "checkpoints").is_dir()
    with open_run(_run("lora.rank=4", "resume=never"), tmp_path):
        assert not (tmp_path / "checkpoints").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"), open_run(_run(), tmp_path / "file"):
        pass


def test_free_keys_are_top_level_keys() -> None:
    assert set(FREE) < set(Run.model_fields)
    assert set(shaping(_run())) == set(Run.model_fields) - set(FREE)


def test_the_seal_says_what_made_the_run(tmp_path: Path) -> None:
    seal(_run(), tmp_path, overrides=["+experiment=quickstart"], data="d", model="m")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["command"][-1] == "+experiment=quickstart"
    assert set(manifest["fingerprints"]) == {"data", "model", "config"}
    assert manifest["packages"]["mlx"] == "0.32.4"
