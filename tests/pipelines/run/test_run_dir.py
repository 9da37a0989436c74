"""A run directory is one run's at a time, is gone on with by the same settings only, and is complete or removed."""

import errno
import json
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from pipelines.config import Run, compose
from pipelines.run.run_dir import new_run_dir, open_run, seal
from tasks.errors import DataError, RunError


def _run(*overrides: str) -> Run:
    return compose(["+experiment=quickstart", *overrides])


def test_each_run_has_a_place_of_its_own() -> None:
    first, second = new_run_dir(_run()), new_run_dir(_run())
    assert first != second
    assert first.parent == second.parent
    assert first.parent.parts[-3:] == ("outputs", "runs", "quickstart")


def test_a_flow_run_has_one_place_however_often_it_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.run.run_dir.OUTPUTS", tmp_path)
    identity = "01a20477-f175-7a2f-9824-b706ecff9103"
    first = new_run_dir(_run(), identity)
    first.mkdir(parents=True)
    monkeypatch.setattr("time.strftime", lambda _: "19700101-000000")  # a clock that jumped back
    assert new_run_dir(_run(), identity) == first
    assert new_run_dir(_run(), identity.replace("9103", "9104")) != first


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


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO])
def test_a_failing_disk_is_said_with_the_file_and_not_with_the_lock(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == ".lock":
            raise OSError(number, "", str(path))
        unlink(path, missing_ok)

    said = rf"run_dir={tmp_path}: .*\({tmp_path}/metrics.jsonl\); mend the disk, then repeat the command"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(RunError, match=said), open_run(_run(), tmp_path):
            raise OSError(number, "", f"{tmp_path}/metrics.jsonl")
    with open_run(_run(), tmp_path):  # the lock was let go
        pass
    assert "mend the disk" in (tmp_path / "run.log").read_text()


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


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(RunError, match=r"run_dir=.*/run: the disk is full; make room"),
        open_run(_run(), tmp_path / "run"),
    ):
        raise full
    assert not (tmp_path / "run").exists()


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


def test_a_link_in_it_that_leads_out_stops_before_anything_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "elsewhere/.step-000002.77.tmp").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoints").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(RunError, match=r"checkpoints is a link to .*elsewhere, outside the run directory; remove it"),
        open_run(_run("resume=never"), tmp_path / "run"),
    ):
        pass
    assert (tmp_path / "elsewhere/.step-000002.77.tmp").is_dir()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoints"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file; name a folder"), open_run(_run(), tmp_path / "file"):
        pass


def test_the_seal_says_what_made_the_run(tmp_path: Path) -> None:
    seal(_run(), tmp_path, overrides=["+experiment=quickstart"], data="d", model="m")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["command"][-1] == "+experiment=quickstart"
    assert set(manifest["fingerprints"]) == {"data", "model", "config"}
    assert manifest["packages"]["mlx"] == "0.32.4"


def _first(folder: Path, *overrides: str) -> None:
    with open_run(_run(*overrides), folder):
        (folder / "checkpoints/step-000001").mkdir(parents=True)


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    _first(tmp_path)
    for name in (".adapter.77.tmp", "checkpoints/.step-000002.77.tmp", "checkpoints/.step-000000.77.gone"):
        (tmp_path / name).mkdir()
    with open_run(_run(), tmp_path):
        pass
    assert not list(tmp_path.rglob(".*"))
    assert "left half written: adapter, step-000000, step-000002" in (tmp_path / "run.log").read_text()
