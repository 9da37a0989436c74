"""What a search has found, read back from its study."""

from pathlib import Path

from optuna.trial import TrialState

from pipelines.search import space
from pipelines.search.study import Study
from pipelines.search.trial import Outcome, record
from pipelines.search.trials import best_of, importances, trials
from tests.pipelines.search.searching import search_in, study_of


def _study(folder: Path, outcomes: list[Outcome], *overrides: str) -> Study:
    search = search_in(folder, *overrides)
    study = study_of(search)
    for outcome in outcomes:
        claimed = study.next()
        assert claimed is not None
        with study.at_work(claimed):
            space.suggest(claimed.trial, search.sweep.space)
            claimed.trial.report(2.5, 2)
            record(study, claimed, outcome)
    return study


PRUNED = Outcome(state="pruned", detail="step 2")


def _complete(value: float) -> Outcome:
    return Outcome(state="complete", value=value)


def test_the_best_so_far_only_gets_better(tmp_path: Path) -> None:
    for direction, best in (("minimize", [3.0, 3.0, 2.0]), ("maximize", [3.0, 3.0, 3.0])):
        folder = tmp_path / direction
        study = _study(folder, [_complete(3.0), PRUNED, _complete(2.0)], f"sweep.direction={direction}")
        rows = trials(search_in(folder, f"sweep.direction={direction}"), study)
        assert [row["best"] for row in rows] == best
        assert [row["state"] for row in rows] == ["complete", "pruned", "complete"]
        assert rows[1]["value"] is None
        assert [*rows[0]["values"]] == ["lora", "lora.rank", "optim.lr"]


def test_the_earliest_of_equals_is_the_best() -> None:
    rows = [{"number": n, "value": value} for n, value in enumerate([2.0, 1.0, 1.0])]
    assert best_of(rows, "minimize") == rows[1]
    assert best_of([{"value": None}], "minimize") is None


def test_importances_of_few_trials_are_left_out(tmp_path: Path) -> None:
    few = _study(tmp_path / "few", [_complete(1.0), _complete(2.0)])
    assert importances(few) == {}
    same = _study(tmp_path / "same", [_complete(1.0)] * 5)
    assert importances(same) == {}


def test_the_key_that_decides_is_the_one_that_matters(tmp_path: Path) -> None:
    search = search_in(tmp_path, "sweep.sampler=random", "sweep.budget.trials=24")
    study = study_of(search)
    while (claimed := study.next()) is not None:
        with study.at_work(claimed):
            values = space.suggest(claimed.trial, search.sweep.space)
            study.tell(claimed, values["optim.lr"], TrialState.COMPLETE)
    shares = importances(study)
    assert max(shares, key=lambda key: shares[key]) == "optim.lr"


def test_a_list_comes_back_as_a_list(tmp_path: Path) -> None:
    key = "sweep.space.lora.targets={kind: categorical, choices: [[q_proj, v_proj]]}"
    study = _study(tmp_path, [_complete(1.0)], key)
    (row,) = trials(search_in(tmp_path, key), study)
    assert row["values"]["lora.targets"] == ["q_proj", "v_proj"]
