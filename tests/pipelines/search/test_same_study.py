"""What makes the trials of a study comparable: their settings, and the rows that stand under their names."""

from pathlib import Path

import pytest

from pipelines.run.run_dir import shaping
from pipelines.search.same_study import ROWS, check_settings, rows_of, settings_of
from pipelines.search.work import work
from tasks.errors import ConfigError
from tests.pipelines.search.searching import search_in, stand_in


def test_settings_leave_out_what_is_varied(tmp_path: Path) -> None:
    search = search_in(tmp_path)
    settings = settings_of(search.sweep, shaping(search.run))
    assert "optim.lr" not in settings
    assert "lora.rank" not in settings
    assert settings["optim.weight_decay"] == "0.0"
    check_settings("s", settings, settings)


def test_rows_are_compared_where_both_sides_know_them() -> None:
    check_settings("s", {"seed": "0"}, {"seed": "0", ROWS: "a"})
    check_settings("s", {"seed": "0", ROWS: "a"}, {"seed": "0"})
    with pytest.raises(ConfigError, match="other settings: the fingerprint of the rows was a, is b; give another"):
        check_settings("s", {"seed": "0", ROWS: "a"}, {"seed": "0", ROWS: "b"})


def test_rows_that_changed_under_their_name_are_another_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("search.same_study", "search.would_fit"):
        monkeypatch.setattr(f"pipelines.{name}.TOKENS", tmp_path / "tokens")
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))
    monkeypatch.setattr("pipelines.search.trial.run_stages", stand_in(lambda run, n: 1.0))
    monkeypatch.setattr("pipelines.search.work.conclude", lambda *_: {})
    lines = Path("examples/starter/train.jsonl").read_text().splitlines(keepends=True)[:32]
    rows = tmp_path / "train.jsonl"
    rows.write_text("".join(lines))
    search = search_in(tmp_path / "sweep", f"data.train={rows}", "sweep.budget.trials=1")
    work(search, lambda stage: stage)
    work(search, lambda stage: stage)
    rows.write_text("".join(lines[1:]))
    with pytest.raises(ConfigError, match="the study test is of other settings: the fingerprint of the rows was"):
        work(search, lambda stage: stage)
    rows.write_text("".join(lines))
    work(search, lambda stage: stage)
    assert (
        rows_of(search_in(tmp_path / "sweep", "+sweep.space.data.max_tokens={kind: categorical, choices: [32, 64]}"))
        == {}
    )
