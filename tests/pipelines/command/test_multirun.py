"""The summary of a multirun."""

import json
from pathlib import Path

import pytest

from pipelines.command.multirun import Job, own_folder, summarize, table
from pipelines.config import compose


def _ran(folder: Path) -> None:
    folder.mkdir(parents=True)
    scores = {"loss_before": 2.0, "loss_after": 1.0, "metric": "exact_match", "metric_after": 0.5}
    trained = {"steps": 3, "seconds": 1.25, "peak_memory_bytes": 10**9}
    (folder / "report.json").write_text(json.dumps({"status": "verified", "evaluate": scores, "train": trained}))


def _job(folder: Path, *overrides: str) -> Job:
    return own_folder(["data.train=rows.jsonl", *overrides], folder)


def test_what_differs_is_shown_and_what_does_not_is_not(tmp_path: Path) -> None:
    _ran(tmp_path / "2")
    head, rows = table([_job(tmp_path / str(rank), "seed=1", f"lora.rank={rank}") for rank in (2, 4)])
    assert head == ["run", "lora.rank", "status", "held-out loss", "score", "training", "peak memory"]
    assert rows[0][1:] == ["2", "verified", "2.000 -> 1.000", "exact match 50.0%", "3 steps in 1.2 s", "1.000 GB"]
    assert rows[1][1:] == ["4", "not finished", "", "", "", ""]


def test_the_page_is_printed_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _ran(tmp_path / "0")
    summarize([_job(tmp_path / f"{n}", f"lora.targets=[{name}]") for n, name in enumerate(("'a|b'", "c"))])
    page = (tmp_path / "summary.md").read_text()
    assert r"| \['a\|b'\] | verified | 2.000 -> 1.000 |" in page
    assert "verified" in capsys.readouterr().out


def test_the_folder_may_lie_anywhere(tmp_path: Path) -> None:
    job = _job(tmp_path / "jörg's, runs/0", "lora.rank=4")
    assert compose([*job.overrides, "model.path=x"]).run_dir == str(job.folder) == str(job.run_dir)


def test_a_run_dir_of_ones_own_stays_and_is_found(tmp_path: Path) -> None:
    job = _job(tmp_path / "all/0", "lora.rank=4", f"run_dir={tmp_path}/${{lora.rank}}")
    assert job.overrides[-1].endswith("/${lora.rank}")
    assert job.run_dir == tmp_path / "4"
    assert Job(["lora.rank", "run_dir=x"], tmp_path / "all/0").run_dir == tmp_path / "all/0"
