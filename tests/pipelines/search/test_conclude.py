"""The end of a search: every file, and what is said where there is nothing to choose from."""

import json
from pathlib import Path

import pytest

import pipelines.search.conclude as module
from pipelines.search import space
from pipelines.search.conclude import conclude, say_search
from pipelines.search.trial import Outcome, record
from tasks.errors import RunError
from tests.pipelines.search.searching import search_in, study_of

DONE = {"adapter": "/best/adapter", "sha256": "ab", "command": "python -m pipelines.finetune", "checks": ["files"]}


def test_the_report_is_for_people_and_for_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "copy_best", lambda *_: DONE)
    search = search_in(tmp_path)
    study = study_of(search)
    for value in (3.0, 1.0, 2.0):
        claimed = study.next()
        assert claimed is not None
        with study.at_work(claimed):
            space.suggest(claimed.trial, search.sweep.space)
            record(study, claimed, Outcome(state="complete", value=value))
    report = conclude(search, study, lambda stage: stage)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert (report["best"]["number"], report["best"]["value"]) == (1, 1.0)
    assert report["states"] == {"complete": 3}
    page = (tmp_path / "report.md").read_text()
    assert "![Best so far](history.svg)" in page
    assert "![What matters]" not in page  # three trials do not tell
    assert (tmp_path / "history.svg").is_file()
    say_search(report)
    assert "best evaluate.loss_after 1 in trial 1" in capsys.readouterr().out


def test_nothing_to_choose_from_is_one_line_and_a_report(tmp_path: Path) -> None:
    search = search_in(tmp_path)
    study = study_of(search)
    claimed = study.next()
    assert claimed is not None
    with study.at_work(claimed):
        record(study, claimed, Outcome(state="failed", detail="the loss is nan"))
    with pytest.raises(RunError, match="none of the 1 trials of test is complete: trial 0: the loss is nan"):
        conclude(search, study, lambda stage: stage)
    assert "| failed |" in (tmp_path / "report.md").read_text()
