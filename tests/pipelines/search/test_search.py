"""A search from its overrides."""

from pathlib import Path

import pytest

from pipelines.search.search import SWEEPS, by_key, compose_search
from tasks.errors import ConfigError
from tests.pipelines.search.searching import search_in


def test_the_overrides_of_a_trial(tmp_path: Path) -> None:
    search = search_in(tmp_path, "sweep.budget.trials=3")
    base = ["+experiment=quickstart", "train.eval_every=2", "orchestrate=false"]
    assert search.changes({"lora.rank": 4}, cheap=False) == [*base, "lora.rank=4"]
    assert search.changes({"lora.rank": 4}) == [*base, "verify=quick", "evaluate.generate=0", "lora.rank=4"]


def test_where_it_goes_by_itself() -> None:
    search = compose_search(["+sweep=rate_and_rank", "+experiment=quickstart"])
    assert search.folder == SWEEPS / "rate_and_rank_quickstart"
    assert search.storage == f"sqlite:///{search.folder}/study.db"
    assert search.trial_folder(7) == search.folder / "trials" / "0007"


def test_a_range_can_be_changed_and_a_key_taken_away(tmp_path: Path) -> None:
    search = search_in(tmp_path, "sweep.space.optim.lr.high=0.5", "sweep.space.lora=null", "sweep.sampler=random")
    assert [*search.sweep.space] == ["lora.rank", "optim.lr"]
    assert getattr(search.sweep.space["optim.lr"], "high", None) == 0.5
    assert search.sweep.sampler.kind == "random"


def test_a_key_within_another_that_is_searched() -> None:
    given = {"lora": {"kind": "categorical", "rank": {"kind": "int"}, "when": {"seed": 1}}}
    assert by_key(given) == {"lora": {"kind": "categorical", "when": {"seed": 1}}, "lora.rank": {"kind": "int"}}


def test_no_sweep_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"say which sweep: \+sweep=NAME; there are .*rate_and_rank"):
        compose_search(["+experiment=quickstart"])
