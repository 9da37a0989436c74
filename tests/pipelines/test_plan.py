"""The plan command: counts every split, writes plan.json where asked, trains nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.plan import main


def test_it_counts_and_trains_nothing(
    quick: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(quick())
    shown = capsys.readouterr().out
    plan = json.loads((tmp_path / "run/plan.json").read_text())
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["plan.json"]
    assert plan["steps"] == 3
    assert set(plan["splits"]) == {"train", "valid", "test"}
    assert plan["splits"]["train"]["supervised_tokens"] < plan["splits"]["train"]["tokens"]
    assert f"{plan['adapter_parameters']:,} parameters" in shown
    assert 0 < plan["padding_share"] < 1
