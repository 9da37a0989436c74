"""Checks a search before anything is written: every problem at once, each with its key and the fix."""

import math
import re
from collections.abc import Sequence
from typing import Any

from pipelines.command.preflight import preflight
from pipelines.config import compose_variant
from pipelines.run.resume import FREE, shaping
from pipelines.search import space
from pipelines.search.config import Categorical, Grid, Unpruned
from pipelines.search.search import Search, compose_search
from tasks.errors import ConfigError, suggest

MOST = 10_000
CHEAP = ("evaluate", "verify")
"""Groups that `sweep.trial` may change: keys that do not shape the adapter."""


def check(overrides: Sequence[str]) -> Search:
    """The search, after all that is known to fail has been refused.

    Raises:
        ConfigError: every problem at once; or the study of this name is of other settings.
        RunError: the storage does not answer.
    """
    search = compose_search(overrides)
    problems = [*_ran(preflight, search.base), *_of_the_space(search), *_of_the_rest(search)]
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    _check_study(search)
    return search


def _of_the_space(search: Search) -> list[str]:
    """Keys that no run has or that may not be varied, conditions that are never met, values that do not decode."""
    problems, keys = list[str](), search.sweep.space
    fixed = [key for key in keys if key.split(".")[0] in (*FREE, "sweep", "experiment")]
    problems += [f"sweep.space.{key}: {key.split('.')[0]} does not shape the adapter; take it out" for key in fixed]
    for key, parameter in keys.items():
        for other, wanted in parameter.when.items():
            where, values = f"sweep.space.{key}.when.{other}", space.allowed(wanted)
            if other not in keys:
                fix = suggest(other, (k for k in keys if k != key))
                problems.append(f"{where}: there is no such key in the space; {fix}")
            elif not isinstance(condition := keys[other], Categorical):
                problems.append(f"{where}: only a categorical key can be a condition; {other} is of a range")
            elif absent := [value for value in values if value not in condition.choices]:
                problems.append(f"{where}={absent[0]!r}: {other} is never that; choose from {[*condition.choices]}")
    if circle := [key for key in keys if key not in space.ordered(keys)]:
        problems += [] if problems else [f"sweep.space: the conditions of {' and '.join(circle)} go in a circle"]
    if isinstance(search.sweep.sampler, Grid):
        for key, parameter in keys.items():
            problems += [f"sweep.space.{key}: {message}" for message in _ran(space.points, parameter)]
        if not problems and (count := math.prod(len(space.points(parameter)) for parameter in keys.values())) > MOST:
            problems.append(
                f"sweep.sampler.kind=grid: {count:,} combinations, at most {MOST:,}; draw at random instead"
            )
    return problems or _of_its_values(search)


def _of_its_values(search: Search) -> list[str]:
    """The problems of composing and decoding a run with each choice, and with both ends of each range."""
    unvaried = search.changes({})
    problems, unknown = [f"sweep.trial: {line}" for line in _ran(compose_variant, unvaried, [])], set[str]()
    if problems:
        return problems
    for key, values in space.probes(search.sweep.space):
        if key in unknown:
            continue
        messages = _ran(compose_variant, unvaried, space.overrides(values))
        if any("there is no such key" in line for line in messages):
            unknown.add(key)
        problems += [f"sweep.space: {line}" for line in messages]
    return problems


def _of_the_rest(search: Search) -> list[str]:
    """The objective, the budget, the pruner, the overrides of trials and the storage."""
    from pipelines.search.objective import fields
    from pipelines.search.storage import check_address

    sweep, run, problems = search.sweep, search.run, []
    known = fields()
    if sweep.objective not in known:
        fix = suggest(sweep.objective, known)
        problems.append(f"sweep.objective={sweep.objective}: it is no number of report.json; {fix}")
    if sweep.budget.trials is None and sweep.budget.hours is None and not isinstance(sweep.sampler, Grid):
        problems.append("sweep.budget: when is it enough? give sweep.budget.trials=... or sweep.budget.hours=...")
    shaping = [override for override in sweep.trial if re.split(r"[.=]", override.lstrip("+"))[0] not in CHEAP]
    problems += [
        f"sweep.trial: {o!r} is neither of evaluate nor of verify; give it without sweep.trial" for o in shaping
    ]
    if run.run_dir is not None:
        problems.append(f"run_dir={run.run_dir}: each trial has its own under {search.folder}; leave it out")
    validates = bool(run.data.sources("valid")) or run.data.valid_share > 0
    if not isinstance(sweep.pruner, Unpruned) and (run.train.eval_every is None or not validates):
        missing = "train.eval_every=..." if validates else "data.valid=... and train.eval_every=..."
        problems.append(f"sweep.pruner.kind={sweep.pruner.kind}: it goes by the validation loss; give {missing}")
    if sweep.objective == "train.valid_loss" and not validates:
        problems.append("sweep.objective=train.valid_loss: nothing is validated; give data.valid=...")
    if sweep.objective.startswith("evaluate.") and run.evaluate.examples == 0:
        problems.append(f"sweep.objective={sweep.objective}: nothing is evaluated; leave evaluate=off out")
    elif sweep.objective.startswith("evaluate.metric_") and _generates_nothing(search):
        problems.append(f"sweep.objective={sweep.objective}: nothing is generated; give evaluate.generate=...")
    return [*problems, *_ran(check_address, search.storage)]


def _generates_nothing(search: Search) -> bool:
    try:
        return compose_variant(search.changes({}), []).evaluate.generate == 0
    except ConfigError:
        return False  # reported already


def _check_study(search: Search) -> None:
    from pipelines.search.same_study import settings_of
    from pipelines.search.storage import Storage, exists
    from pipelines.search.study import Study

    if exists(search.storage):
        Study(search.sweep, settings_of(search.sweep, shaping(search.run)), Storage(search.storage), search.folder)


def _ran(call: Any, *arguments: Any) -> list[str]:
    """The problems that a call raises."""
    try:
        call(*arguments)
    except ConfigError as error:
        return [*error.problems]
    except ValueError as error:
        return [str(error)]
    return []
