"""Which directory a run with a window goes on in."""

import json
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from pipelines.config import Run, compose
from pipelines.run.unfinished import interrupted_run


@pytest.fixture
def run() -> Run:
    return compose(["+experiment=quickstart", "name=nightly", "window=22:00-06:00"])


def _rows() -> str:
    return "today's"


def _left(runs: Path, run: Run, time: str) -> Path:
    folder = runs / run.name / time
    (folder / "checkpoints/step-000003").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(run.model_dump(mode="json")))
    return folder


def test_the_newest_of_the_same_settings(run: Run, tmp_path: Path) -> None:
    assert interrupted_run(run, tmp_path, _rows) is None
    _left(tmp_path, run, "20261120-220000-aaaa")
    newest = _left(tmp_path, run, "20261121-220000-aaaa")
    _left(tmp_path, compose(["+experiment=quickstart", "name=nightly", "lora.rank=3"]), "20261122-220000-aaaa")
    assert interrupted_run(run, tmp_path, _rows) == newest
    later = run.model_copy(update={"window": "23:00-05:00"})
    assert interrupted_run(later, tmp_path, _rows) == newest, "the hours do not shape the adapter"
    assert interrupted_run(run.model_copy(update={"name": "other"}), tmp_path, _rows) is None


@pytest.mark.parametrize("flaw", ["sealed", "no checkpoint", "no config", "torn config", "other keys"])
def test_what_cannot_go_on_is_passed_over(run: Run, tmp_path: Path, flaw: str) -> None:
    folder = _left(tmp_path, run, "20261121-220000-aaaa")
    match flaw:
        case "sealed":
            (folder / "manifest.json").touch()
        case "no checkpoint":
            (folder / "checkpoints/step-000003").rmdir()
        case "no config":
            (folder / "config.yaml").unlink()
        case "torn config":
            (folder / "config.yaml").write_text("name: [")
        case "other keys":
            (folder / "config.yaml").write_text("name: nightly")
    assert interrupted_run(run, tmp_path, _rows) is None


def test_one_of_other_rows_is_passed_over_and_said_once(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _left(tmp_path, run, "20261121-220000-aaaa")
    manifest = {"files": {}, "origin": {"data": "yesterday's", "tokenizer": "a"}}
    (folder / "checkpoints/step-000003/manifest.json").write_text(json.dumps(manifest))
    assert interrupted_run(run, tmp_path, lambda: "yesterday's") == folder
    assert interrupted_run(run, tmp_path, _rows) is None
    (said,) = caplog.messages
    assert said.startswith("the rows have changed since 20261121-220000-aaaa, so a run begins afresh")
    assert said.endswith(f"run_dir={folder} resumes it")
    caplog.clear()
    fresh = _left(tmp_path, run, "20261122-220000-aaaa")  # of the night after
    manifest["origin"]["data"] = _rows()
    (fresh / "checkpoints/step-000003/manifest.json").write_text(json.dumps(manifest))
    assert interrupted_run(run, tmp_path, _rows) == fresh
    assert not caplog.messages


def test_one_in_use_is_passed_over_a_killed_one_is_not(run: Run, tmp_path: Path) -> None:
    folder = _left(tmp_path, run, "20261121-220000-aaaa")
    lock = FileLock(folder / ".lock")
    with lock:
        assert interrupted_run(run, tmp_path, _rows) is None
    (folder / ".lock").touch()
    assert interrupted_run(run, tmp_path, _rows) == folder
