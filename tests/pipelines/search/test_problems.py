"""Bad input: one clear line each, all at once, and nothing is written."""

import re
from pathlib import Path

import pytest

from pipelines.search.problems import check
from tasks.errors import ConfigError
from tests.pipelines.search.searching import BASE, search_in, study_of

SPACE = "sweep.space"


def _check(folder: Path, *overrides: str) -> None:
    check([*BASE, f"sweep.folder={folder / 'sweep'}", "sweep.study=test", *overrides])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            [f"{SPACE}.lora.rnk={{kind: categorical, choices: [4, 8]}}"],
            "lora.rnk=4: there is no such key; did you mean lora.rank?",
        ),
        ([f"{SPACE}.lora.rank.choices=[4, many]"], 'sweep.space: lora.rank="many": give a whole number'),
        (
            [f"{SPACE}.lora.choices=[lora, dora]"],
            "sweep.space: lora=dora: there is no such choice; did you mean lora? ",
        ),
        ([f"{SPACE}.optim.lr.low=0"], "sweep.space.optim.lr: log over 0.0 to 0.03 goes through zero"),
        (
            [f"{SPACE}.optim.lr.lo=1"],
            "sweep.space.optim.lr.lo=1: there is no such key; did you mean sweep.space.optim.lr.low?",
        ),
        ([f"{SPACE}.optim.lr.kind=flaot"], 'sweep.space.optim.lr.kind="flaot": choose from categorical, int, float'),
        ([f"{SPACE}.optim.eps={{kind: float, low: -1, high: 1}}"], "sweep.space: optim.eps=-1.0: "),
        (
            [f"{SPACE}.sinks={{kind: categorical, choices: [[jsonl]]}}"],
            "sweep.space.sinks: sinks does not shape the adapter",
        ),
        ([f"{SPACE}.lora.rank.when={{lora.rul: x}}"], "lora.rank.when.lora.rul: there is no such key in the space"),
        ([f"{SPACE}.lora.rank.when={{lora: dora}}"], "lora.rank.when.lora='dora': lora is never that; choose from"),
        ([f"{SPACE}.lora.rank.when={{optim.lr: 1}}"], "optim.lr: only a categorical key can be a condition"),
        ([f"{SPACE}.lora.rank.when={{lora: lora}}", f"{SPACE}.lora.when={{lora.rank: 4}}"], "go in a circle"),
        (["sweep.objective=evaluate.los_after"], "is no number of report.json; did you mean evaluate.loss_after?"),
        (["sweep.objective=evaluate.metric_after"], "nothing is generated; give evaluate.generate="),
        (["sweep.budget.trials=null"], "sweep.budget: when is it enough?"),
        (["sweep.budget.trials=0"], "sweep.budget.trials=0: "),
        (["sweep.sampler=grid"], "sweep.space.optim.lr: a grid needs a step"),
        (["sweep.sampler=tpee"], 'sweep.sampler.kind="tpee": choose from'),
        (["train.eval_every=null"], "sweep.pruner.kind=median: it goes by the validation loss; give train.eval_every="),
        (["sweep.trial=['train.steps=3']"], "sweep.trial: 'train.steps=3' is neither of evaluate nor of verify"),
        (["sweep.trial=['verify=quik']"], "sweep.trial: verify=quik: there is no such choice; did you mean quick?"),
        (["sweep.storage=mysql://host/db"], "sweep.storage=mysql://host/db: write sqlite:///FILE"),
        (["sweep.stduy=x"], 'sweep.stduy="x": there is no such key; did you mean sweep.study?'),
        (["run_dir=somewhere"], "run_dir=somewhere: each trial has its own"),
        (["lora.rnak=3"], "lora.rnak=3: there is no such key"),
        (["data.train=nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_one_line_and_nothing_is_written(tmp_path: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _check(tmp_path, *overrides)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value), str(caught.value)
    assert not [*tmp_path.iterdir()]


def test_all_problems_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _check(tmp_path, f"{SPACE}.optim.lr.high=-1", f"{SPACE}.lora.rank=7", "sweep.budget.trials=0", "optim.lr=-1")
    lines = str(caught.value).splitlines()
    assert lines[0] == "4 problems in the configuration:"
    assert [re.split("[=:]", line)[0].strip() for line in lines[1:]] == [
        "optim.lr",
        "sweep.space.lora.rank",
        f"{SPACE}.optim.lr",
        "sweep.budget.trials",
    ]


def test_a_sound_search_passes_and_leaves_nothing(tmp_path: Path) -> None:
    _check(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_study_of_another_space_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    study_of(search_in(tmp_path / "sweep"))
    before = (tmp_path / "sweep" / "study.db").read_bytes()
    with pytest.raises(
        ConfigError, match=r"the study test is of other settings: sweep\.space\.lora\.rank\.choices was"
    ):
        _check(tmp_path, f"{SPACE}.lora.rank.choices=[2, 4]")
    assert (tmp_path / "sweep" / "study.db").read_bytes() == before
