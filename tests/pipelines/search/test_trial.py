"""One trial: watched, pruned, infeasible or failed, and what the study hears of it."""

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

import pipelines.search.trial as module
from pipelines.search import space
from pipelines.search.search import Search
from pipelines.search.study import Study
from pipelines.search.trial import Outcome, prepare, record, run_trial
from pipelines.search.would_fit import Fits
from tasks.errors import ConfigError, DataError, GraftlineError, Interrupted, RunError
from tests.pipelines.search.searching import search_in, stand_in, study_of

Run = Callable[..., tuple[Outcome, Study]]


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Outcome, Study]]:
    """Runs the next trial of a search in place of which `stages` stands, and records it."""
    monkeypatch.setattr(module, "would_fit", lambda run: Fits(fits=True, peak_bytes=1, budget_bytes=2))

    def run(stages: Callable[..., Any], *overrides: str, study: Study | None = None) -> tuple[Outcome, Study]:
        monkeypatch.setattr(module, "run_stages", stages)
        search = search_in(tmp_path, *overrides)
        opened = study or study_of(search)
        with opened.leases.working():
            return _next(search, opened), opened

    return run


def _next(search: Search, study: Study) -> Outcome:
    claimed = study.next()
    assert claimed is not None
    values = space.suggest(claimed.trial, search.sweep.space)
    with study.at_work(claimed) as beat:
        run = prepare(search, study, claimed, values)
        assert not isinstance(run, Outcome)
        outcome = run_trial(search, study, claimed, beat, run, values, lambda stage: stage)
        record(study, claimed, outcome)
    return outcome


def _raising(error: Exception) -> Callable[..., Any]:
    def run_stages(*_: Any) -> None:
        raise error

    return run_stages


def test_a_complete_trial_has_its_value_and_its_curve(one: Run) -> None:
    outcome, study = one(stand_in(lambda run, n: 3.0 - n / 2))
    assert outcome == Outcome(state="complete", value=1.0)
    (trial,) = study.trials()
    assert (trial.state, trial.value, trial.intermediate_values) == (TrialState.COMPLETE, 1.0, {2: 2.0, 4: 1.0})


def test_a_hopeless_trial_is_pruned_with_its_curve(one: Run) -> None:
    _, study = one(stand_in(lambda run, n: 1.0), "sweep.pruner.startup=1")
    outcome, _ = one(stand_in(lambda run, n: 9.0), "sweep.pruner.startup=1", study=study)
    assert outcome == Outcome(state="pruned", detail="step 2 of 4, validation loss 9.0000")
    trial = study.trials()[1]
    assert (trial.state, trial.intermediate_values) == (TrialState.PRUNED, {2: 9.0})
    assert study.optuna.best_trial.number == 0


def test_less_loss_is_better_to_the_pruner_even_where_more_of_the_objective_is(one: Run) -> None:
    maximize = ("sweep.direction=maximize", "sweep.pruner.startup=1")
    _, study = one(stand_in(lambda run, n: 1.0), *maximize)
    better, _ = one(stand_in(lambda run, n: 0.5), *maximize, study=study)
    worse, _ = one(stand_in(lambda run, n: 9.0), *maximize, study=study)
    assert (better.state, worse.state) == ("complete", "pruned")


def test_a_trial_that_has_done_its_last_step_is_not_pruned(one: Run) -> None:
    _, study = one(stand_in(lambda run, n: 1.0), "sweep.pruner.startup=1")
    outcome, _ = one(stand_in(lambda run, n: 0.5 if n < 4 else 9.0), "sweep.pruner.startup=1", study=study)
    assert outcome.state == "complete"


def test_settings_that_cannot_be_run_are_infeasible_and_the_sampler_learns_it(one: Run) -> None:
    outcome, study = one(_raising(ConfigError("it needs 40 GB, there are 16")))
    assert outcome == Outcome(state="infeasible", detail="it needs 40 GB, there are 16")
    (trial,) = study.trials()
    assert (trial.state, trial.user_attrs["outcome"]["state"]) == (TrialState.PRUNED, "infeasible")


@pytest.mark.parametrize("error", [RunError("step 3: the loss is nan"), RuntimeError("[metal] out of memory")])
def test_what_breaks_one_trial_does_not_break_the_search(one: Run, error: Exception) -> None:
    outcome, study = one(_raising(error))
    assert outcome.state == "failed"
    assert str(error) in outcome.detail
    assert study.trials()[0].state == TrialState.FAIL


def test_an_adapter_that_is_not_verified_is_no_result(one: Run) -> None:
    def run_stages(*arguments: Any) -> dict[str, Any]:
        failed = {"name": "reload_logits", "passed": False, "detail": "max |d| 3"}
        return {
            **stand_in(lambda run, n: 1.0)(*arguments),
            "status": "failed",
            "verify": {"passed": False, "checks": [failed]},
        }

    outcome, _ = one(run_stages)
    assert outcome == Outcome(state="failed", detail="its adapter is not verified: reload_logits: max |d| 3")


@pytest.mark.parametrize(
    "error", [DataError("no rows"), Interrupted("stopped", 2), OSError(errno.ENOSPC, "No space left on device")]
)
def test_what_no_trial_would_be_spared_stops_the_worker_and_the_trial_stays(one: Run, error: Exception) -> None:
    with pytest.raises(type(error)):
        one(_raising(error))


def test_a_trial_is_run_again_at_once_after_it_was_interrupted(one: Run, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        one(_raising(Interrupted("stopped", 2)))
    outcome, study = one(stand_in(lambda run, n: 1.0))
    assert (outcome.state, len(study.trials())) == ("complete", 1)


def test_what_was_reported_before_is_not_reported_again(one: Run) -> None:
    def dying(*arguments: Any) -> dict[str, Any]:
        stand_in(lambda run, n: 2.0)(*arguments)
        raise Interrupted("stopped", 15)

    with pytest.raises(Interrupted):
        one(dying)
    outcome, study = one(stand_in(lambda run, n: 2.0, steps=6))  # Optuna warns of a step that is told twice
    assert outcome.state == "complete"
    assert study.trials()[0].intermediate_values == {2: 2.0, 4: 2.0, 6: 2.0}


def test_a_trial_that_takes_its_workers_with_it_is_given_up(tmp_path: Path) -> None:
    search, study = search_in(tmp_path, "sweep.attempts=2"), study_of(search_in(tmp_path))
    claimed = study.next()
    assert claimed is not None
    outcome = prepare(search, study, claimed._replace(claims=3), {})
    assert outcome == Outcome(state="failed", detail="it took its worker with it 2 times in a row")


def test_what_would_not_fit_is_infeasible_without_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.search.would_fit.TOKENS", tmp_path / "tokens")
    search, study = search_in(tmp_path, "memory.limit_gb=0.01"), study_of(search_in(tmp_path))
    claimed = study.next()
    assert claimed is not None
    values = {"lora": "lora", "lora.rank": 8, "optim.lr": 0.01}
    outcome = prepare(search, study, claimed, values)
    assert isinstance(outcome, Outcome)
    assert outcome.state == "infeasible"
    assert re.fullmatch(r"the run would need 0\.\d+ GB, the budget is 0\.01 GB", outcome.detail)
    monkeypatch.setattr("tasks.budget.demand.footprint", lambda *_, **__: pytest.fail("predicted again"))
    monkeypatch.setattr("pipelines.search.would_fit.load_base", lambda *_: pytest.fail("loaded again"))
    assert prepare(search, study, claimed, {**values, "lora": "rslora", "optim.lr": 0.02}) == outcome
    assert not (tmp_path / "trials").exists()


def test_a_trial_that_was_begun_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "would_fit", lambda run: pytest.fail("asked"))
    search, study = search_in(tmp_path), study_of(search_in(tmp_path))
    claimed = study.next()
    assert claimed is not None
    run = prepare(search, study, claimed._replace(resumed=True), {})
    assert not isinstance(run, Outcome)
    assert run.resume == "auto"


def test_a_storage_that_goes_away_in_mid_trial_stops_it_in_one_line(one: Run, tmp_path: Path) -> None:
    def gone(run: Any, *arguments: Any) -> dict[str, Any]:
        (tmp_path / "study.db").rename(tmp_path / "elsewhere.db")
        return stand_in(lambda run, n: 1.0)(run, *arguments)

    with pytest.raises(GraftlineError, match=r"study\.db is gone"):
        one(gone)
    (tmp_path / "elsewhere.db").rename(tmp_path / "study.db")
    outcome, study = one(stand_in(lambda run, n: 1.0))
    assert (outcome.state, len(study.trials())) == ("complete", 1)
