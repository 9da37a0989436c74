"""Which directory a run with a window goes on in."""

from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from pipelines.config import Run, compose
from pipelines.unfinished import unfinished


@pytest.fixture
def run() -> Run:
    return compose(["+experiment=quickstart", "name=nightly", "window=22:00-06:00"])


def _left(runs: Path, run: Run, time: str) -> Path:
    folder = runs / run.name / time
    (folder / "checkpoints/step-000003").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(run.model_dump(mode="json")))
    return folder


def test_the_newest_of_the_same_settings(run: Run, tmp_path: Path) -> None:
    assert unfinished(run, tmp_path) is None
    _left(tmp_path, run, "20261120-220000-aaaa")
    newest = _left(tmp_path, run, "20261121-220000-aaaa")
    _left(tmp_path, compose(["+experiment=quickstart", "name=nightly", "lora.rank=3"]), "20261122-220000-aaaa")
    assert unfinished(run, tmp_path) == newest
    later = run.model_copy(update={"window": "23:00-05:00"})
    assert unfinished(later, tmp_path) == newest, "the hours do not shape the adapter"
    assert unfinished(run.model_copy(update={"name": "other"}), tmp_path) is None


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
    assert unfinished(run, tmp_path) is None


def test_one_in_use_is_passed_over_a_killed_one_is_not(run: Run, tmp_path: Path) -> None:
    folder = _left(tmp_path, run, "20261121-220000-aaaa")
    lock = FileLock(folder / ".lock")
    with lock:
        assert unfinished(run, tmp_path) is None
    (folder / ".lock").touch()
    assert unfinished(run, tmp_path) == folder
