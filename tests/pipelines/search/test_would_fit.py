import json
from collections.abc import Callable
from pathlib import Path

import pytest

import pipelines.search.would_fit
from pipelines.config import compose
from pipelines.plan import main as plan
from pipelines.search.would_fit import longest_rows, would_fit
from tasks.errors import ConfigError

Quick = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def _own_tokens(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines.search.would_fit, "TOKENS", tmp_path / "tokens")


def test_a_run_over_budget_is_refused_and_what_is_proposed_fits(quick: Quick, tmp_path: Path) -> None:
    asked = would_fit(compose(quick()))
    assert asked.fits
    limit = f"memory.limit_gb={0.5 * asked.peak_bytes / 1e9}"
    assert not would_fit(compose(quick(limit))).fits
    with pytest.raises(ConfigError, match=r"training would need .* this fits: ") as refused:
        plan(quick(limit))
    assert not (tmp_path / "run/plan.json").exists()
    proposed = str(refused.value).split("this fits: ")[1].split(" (")[0].split()
    plan(quick(limit, *proposed))
    told = json.loads((tmp_path / "run/plan.json").read_text())
    assert told["peak_memory_bytes"] <= told["budget_bytes"] < asked.peak_bytes


def test_auto_takes_what_fits(quick: Quick, tmp_path: Path) -> None:
    peak = would_fit(compose(quick())).peak_bytes
    run = quick("memory=auto", f"memory.limit_gb={0.5 * peak / 1e9}")
    assert would_fit(compose(run)).fits
    plan(run)
    told = json.loads((tmp_path / "run/plan.json").read_text())
    assert told["peak_memory_bytes"] <= told["budget_bytes"]
    assert told["options"][-1]["fits"]
    assert told["accumulate"] > 1 or told["memory"]["checkpoint"] != "none"


def test_asked_again_nothing_is_loaded_or_predicted_anew(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    first = would_fit(compose(quick()))
    again = compose(quick("optim.lr=1e-5", "train.steps=7", "lora.alpha=3"))
    monkeypatch.setattr("tasks.budget.demand.footprint", lambda *_, **__: pytest.fail("predicted again"))
    monkeypatch.setattr("pipelines.search.would_fit.load_base", lambda *_: pytest.fail("loaded again"))
    assert would_fit(again) == first


def test_what_is_decided_by_less_than_a_graph_needs_none(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    dropout = would_fit(compose(quick("lora.dropout=0.1", "train.accumulate=2")))
    monkeypatch.setattr("tasks.budget.demand.footprint", lambda *_, **__: pytest.fail("predicted again"))
    assert would_fit(compose(quick("lora.dropout=0.3", "train.accumulate=8", "lora.alpha=2"))) == dropout
    small = would_fit(compose(quick("memory.limit_gb=0.0001", "lora.rank=3", "memory.auto=true")))
    assert not small.fits
    assert small.peak_bytes > small.budget_bytes


def test_the_longest_row_of_a_budget(quick: Quick) -> None:
    small, large = (longest_rows(compose(quick(f"memory.limit_gb={gb}"))) for gb in (0.006, 0.05))
    assert set(small) == set(large) == {"none", "attention", "mlp", "2", "4", "all"}
    assert small["none"] <= small["all"]
    assert large["none"] == 512 > small["none"]
