"""Reads the trials of a study as plain values: in order, the best of them, the importances."""

import warnings
from typing import Any

from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from pipelines.search import space
from pipelines.search.search import Search
from pipelines.search.study import Study

FEWEST = 4
"""Complete trials that are needed to estimate which key matters."""


def trials(search: Search, study: Study) -> list[dict[str, Any]]:
    """A row for each trial: number, state, value, best so far, what it tried, its curve, seconds of work, detail."""
    rows, leases, best = [], study.leases.rows(), None
    sign = -1 if search.sweep.direction == "maximize" else 1
    for trial in study.trials():
        outcome = trial.user_attrs.get("outcome") or {}
        value = outcome.get("value")
        if value is not None:
            best = value if best is None else sign * min(sign * best, sign * value)
        rows.append(
            {
                "number": trial.number,
                "state": outcome.get("state", _state(trial)),
                "value": value,
                "best": best,
                "values": decoded(search.sweep.space, trial.params),
                "curve": {str(step): sign * loss for step, loss in sorted(trial.intermediate_values.items())},
                "seconds": round(leases[trial.number].seconds, 2) if trial.number in leases else 0.0,
                "where": trial.user_attrs.get("where"),
                "detail": outcome.get("detail", ""),
            }
        )
    return rows


def best_of(rows: list[dict[str, Any]], direction: str) -> dict[str, Any] | None:
    """The row of the best complete trial, the earliest of equals; None where none is complete.

    Example:
        >>> best_of([{"value": None}, {"value": 2.0}, {"value": 1.0}], "minimize")
        {'value': 1.0}
    """
    complete = [row for row in rows if row["value"] is not None]
    if not complete:
        return None
    return (max if direction == "maximize" else min)(complete, key=lambda row: row["value"])


def importances(study: Study) -> dict[str, float]:
    """How much each key matters for a trial to be among the better half, as shares (PED-ANOVA); {} for few trials."""
    complete = [trial for trial in study.trials() if trial.state == TrialState.COMPLETE]
    if len(complete) < FEWEST or len({trial.value for trial in complete}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental, and says so each time
        evaluator = PedAnovaImportanceEvaluator(target_quantile=0.5)
        return {key: round(share, 4) for key, share in get_param_importances(study.optuna, evaluator=evaluator).items()}


def decoded(searched: space.Space, params: dict[str, Any]) -> space.Values:
    """The values of a trial as they are tried, from how the study keeps them, in the order of the space."""
    values = {}
    for key in (key for key in space.ordered(searched) if key in params):
        choices = {space.encode(choice): choice for choice in getattr(searched[key], "choices", ())}
        values[key] = choices.get(params[key], params[key])
    return values


def _state(trial: FrozenTrial) -> str:
    return {TrialState.WAITING: "waiting", TrialState.RUNNING: "running"}.get(trial.state, trial.state.name.lower())
