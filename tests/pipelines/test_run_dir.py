"""A run directory is one run's at a time, is gone on with by the same settings only, and is complete or removed."""

import errno
import json
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from safetensors import SafetensorError

from pipelines.config import Run, compose
from pipelines.run_dir import EXTENDS, FREE, new_run_dir, open_run, seal, shaping
from tasks.errors import DataError, RunError
from tasks.settings import Train


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


def test_the_folders_made_for_it_go_too_but_no_other(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(DataError), open_run(_run(), tmp_path / "runs/mine/first"):
        raise DataError("bad row")
    assert list(tmp_path.rglob("*")) == [tmp_path / "runs"]


def test_a_folder_that_holds_another_run_stays(tmp_path: Path) -> None:
    def fail() -> None:
        (tmp_path / "mine/second").mkdir()
        raise DataError("bad row")

    with pytest.raises(DataError), open_run(_run(), tmp_path / "mine/first"):
        fail()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["second"]


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    RuntimeError("[write] Unable to write 135 bytes to file."),
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_a_full_disk_is_one_clear_error(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.run_dir._free", lambda folder: 4096)
    with (
        pytest.raises(RunError, match=r"run_dir=.*/run: the disk is full; make room"),
        open_run(_run(), tmp_path / "run"),
    ):
        raise error
    assert not (tmp_path / "run").exists()


def test_a_write_that_failed_with_room_left_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.run_dir._free", lambda folder: 1 << 40)
    with pytest.raises(RuntimeError, match="Unable to write"), open_run(_run(), tmp_path / "run"):
        raise FULL[-1]


def test_what_is_said_at_the_end_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The command prints the reason; the log in the terminal does not repeat it, nor show a traceback."""
    (tmp_path / "run").mkdir()
    for error in (RunError("the reason"), ValueError("the bug")):
        with pytest.raises(type(error)), open_run(_run(), tmp_path / "run"):
            raise error
    assert not caplog.records
    kept = (tmp_path / "run/run.log").read_text()
    assert kept.count("the reason") == kept.count("ValueError: the bug") == kept.count("Traceback") == 1


def test_starting_afresh_leaves_no_result_of_another_run(tmp_path: Path) -> None:
    for name in ("report.json", "verdict.json", "metrics.jsonl"):
        (tmp_path / name).write_text("{}")
    with open_run(_run("resume=never"), tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "config.yaml", "run.log"]


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


def _first(folder: Path, *overrides: str) -> None:
    with open_run(_run(*overrides), folder):
        (folder / "checkpoints/step-000001").mkdir(parents=True)


def test_extend_lets_the_length_change_and_how_often_things_are_done(tmp_path: Path) -> None:
    _first(tmp_path)
    longer = ["train.steps=300", "train.save_every=7", "train.eval_every=9", "train.keep_best=true", "sinks=[jsonl]"]
    with (
        pytest.raises(RunError, match=r"train\.steps was '150', is '300'.*or resume=extend"),
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
        pytest.raises(RunError, match=r"optim\.lr was '0\.01', is '0\.02'") as caught,
        open_run(_run("train.steps=300", "optim.lr=0.02", "resume=extend"), tmp_path),
    ):
        pass
    assert "train.steps" not in str(caught.value)
    assert "resume=extend" not in str(caught.value)


def test_the_keys_of_extend_are_keys() -> None:
    assert set(EXTENDS) <= {f"train.{name}" for name in Train.model_fields}
    assert {"train.accumulate", "train.compile"}.isdisjoint(EXTENDS)


def test_a_key_that_came_since_has_its_default(tmp_path: Path) -> None:
    _first(tmp_path)
    plain = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del plain["train"]["keep_best"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain))
    with open_run(_run(), tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "\x00"])
def test_a_torn_config_beside_checkpoints_is_named(text: str, tmp_path: Path) -> None:
    _first(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match=r"config\.yaml cannot be read"), open_run(_run(), tmp_path):
        pass


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    _first(tmp_path)
    for name in (".adapter.77.tmp", "checkpoints/.step-000002.77.tmp", "checkpoints/.step-000000.77.gone"):
        (tmp_path / name).mkdir()
    with open_run(_run(), tmp_path):
        pass
    assert not list(tmp_path.rglob(".*"))
    assert "left half written: adapter, step-000000, step-000002" in (tmp_path / "run.log").read_text()
