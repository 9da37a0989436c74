"""The study: the total met exactly, the same draws however often it is opened, and no other study under its name."""

from pathlib import Path

import pytest
from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from pipelines.search import space
from pipelines.search.config import Halving, Median, Unpruned
from pipelines.search.study import Study, make_pruner
from tasks.errors import ConfigError
from tests.pipelines.search.searching import search_in, study_of

HALVING = Halving(kind="halving", first=4)


def _finish(study: Study, value: float = 1.0) -> int | None:
    claimed = study.next()
    if claimed is None:
        return None
    with study.at_work(claimed):
        study.tell(claimed, value, TrialState.COMPLETE)
    return claimed.trial.number


def test_the_total_is_met_and_no_more(tmp_path: Path) -> None:
    study = study_of(search_in(tmp_path, "sweep.budget.trials=3"))
    assert [_finish(study) for _ in range(5)] == [0, 1, 2, None, None]
    assert study.complete()


def test_a_larger_budget_goes_on(tmp_path: Path) -> None:
    assert _finish(study_of(search_in(tmp_path, "sweep.budget.trials=1"))) == 0
    study = study_of(search_in(tmp_path, "sweep.budget.trials=2"))
    assert [_finish(study), _finish(study)] == [1, None]


def test_two_workers_share_it(tmp_path: Path) -> None:
    search = search_in(tmp_path, "sweep.budget.trials=3")
    a, b = study_of(search), study_of(search)
    with a.leases.working(), b.leases.working():
        first, second = a.next(), b.next()
        assert first is not None
        assert second is not None
        assert (first.trial.number, second.trial.number) == (0, 1)
        with b.at_work(second):
            b.tell(second, 1.0, TrialState.COMPLETE)
        assert _finish(b) == 2
        assert b.next() is None
        assert not b.complete()  # a is still at work
        with a.at_work(first):
            a.tell(first, 1.0, TrialState.COMPLETE)
        assert b.complete()


def test_an_interrupted_trial_is_the_next_and_tries_the_same(tmp_path: Path) -> None:
    search = search_in(tmp_path, "sweep.budget.trials=3")
    study = study_of(search)
    claimed = study.next()
    assert claimed is not None
    assert not claimed.resumed
    tried = space.suggest(claimed.trial, search.sweep.space)
    with pytest.raises(KeyboardInterrupt), study.at_work(claimed):
        raise KeyboardInterrupt
    again = study_of(search).next()
    assert again is not None
    assert (again.trial.number, again.resumed, again.claims) == (0, True, 1)
    assert space.suggest(again.trial, search.sweep.space) == tried


def test_a_study_opened_again_draws_what_it_would_have(tmp_path: Path) -> None:
    def drawn(folder: Path, *, again: bool) -> list[space.Values]:
        search, found = search_in(folder, "sweep.budget.trials=14"), []
        study = study_of(search)
        for number in range(14):
            study = study_of(search) if again else study
            claimed = study.next()
            assert claimed is not None
            with study.at_work(claimed):
                found.append(space.suggest(claimed.trial, search.sweep.space))
                study.tell(claimed, abs(found[-1]["optim.lr"] - 0.01) + number / 1000, TrialState.COMPLETE)
        return found

    whole = drawn(tmp_path / "a", again=False)
    assert drawn(tmp_path / "b", again=True) == whole
    assert len({values["optim.lr"] for values in whole}) == 14


def test_a_grid_is_tried_point_by_point(tmp_path: Path) -> None:
    search = search_in(tmp_path, "sweep.sampler=grid", "sweep.space.optim.lr=null", "sweep.budget.trials=null")
    study, found = study_of(search), []
    while (claimed := study.next()) is not None:
        with study.at_work(claimed):
            found.append(space.suggest(claimed.trial, search.sweep.space))
            study.tell(claimed, 1.0, TrialState.COMPLETE)
    assert found == space.grid(search.sweep.space)
    assert len(found) == 6


def test_hours_of_work_end_it(tmp_path: Path) -> None:
    study = study_of(search_in(tmp_path, "sweep.budget.trials=null", "sweep.budget.hours=1e-7"))
    assert [_finish(study), _finish(study)] == [0, None]
    assert study.complete()


def test_a_study_of_another_space_is_refused_by_its_keys(tmp_path: Path) -> None:
    study_of(search_in(tmp_path))
    with pytest.raises(ConfigError, match=r"study test is of other settings: sweep\.space\.seed\.choices was absent"):
        study_of(search_in(tmp_path, "sweep.space.seed={kind: categorical, choices: [0, 1]}"))
    with pytest.raises(ConfigError, match=r"train\.steps was 150, is 10; give another sweep\.study="):
        study_of(search_in(tmp_path, "train.steps=10"))


def test_what_does_not_shape_a_value_may_change(tmp_path: Path) -> None:
    study_of(search_in(tmp_path))
    study_of(search_in(tmp_path, "sweep.budget.trials=99", "sweep.pruner=none", "sinks=[jsonl]"))


def test_a_study_of_another_tool_is_left_alone(tmp_path: Path) -> None:
    import optuna

    study = optuna.create_study(study_name="test", storage=f"sqlite:///{tmp_path / 'study.db'}")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(ConfigError, match="has trials of another tool"):
        study_of(search_in(tmp_path))


def test_the_pruner_is_the_searchs(tmp_path: Path) -> None:
    base = search_in(tmp_path).sweep
    kinds = {NopPruner: Unpruned(), MedianPruner: Median(kind="median"), SuccessiveHalvingPruner: HALVING}
    for kind, pruner in kinds.items():
        assert type(make_pruner(base.model_copy(update={"pruner": pruner}))) is kind


def test_values_that_were_tried_are_found_again_and_a_finite_space_ends(tmp_path: Path) -> None:
    ranks = [
        "sweep.space.lora=null",
        "sweep.space.optim.lr=null",
        "sweep.space.lora.rank.choices=[4,8]",
        "sweep.budget.trials=9",
    ]
    search = search_in(tmp_path, *ranks)
    study, tried = study_of(search), []
    while (claimed := study.next()) is not None:
        with study.at_work(claimed):
            values = space.suggest(claimed.trial, search.sweep.space)
            twin = study.twin(claimed.trial)
            assert (twin is not None) == (values in tried)
            if twin is not None:
                assert twin.number == tried.index(values)
            tried.append(values)
            study.tell(claimed, 1.0, TrialState.COMPLETE)
    assert study.complete()
    assert {values["lora.rank"] for values in tried} == {4, 8}
    assert len(tried) < 9
