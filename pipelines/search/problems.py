"""What can be known of a search before anything is written: every problem at once, each with its key and the fix."""

import math
import re
from collections.abc import Sequence
from typing import Any

from pipelines.command.preflight import preflight
from pipelines.config import compose_variant
from pipelines.run.resume import FREE, shaping
from pipelines.search import space
from pipelines.search.config import Categorical, Grid, Unpruned
from pipelines.search.search import Search, compose_search, gathered, lines
from tasks.errors import ConfigError, suggest

MOST = 10_000
CHEAP = ("evaluate", "verify")
"""What `sweep.trial` may change: keys that do not shape the adapter."""


def check(overrides: Sequence[str]) -> Search:
    """The search, after all that is known to fail has been refused.

    Raises:
        ConfigError: every problem at once; or the study of this name is of other settings.
        RunError: the storage does not answer.
    """
    search = compose_search(overrides)
    problems = [*_ran(preflight, search.base), *_of_the_space(search), *_of_the_rest(search)]
    if problems:
        raise gathered([*dict.fromkeys(problems)])
    _check_study(search)
    return search


def _of_the_space(search: Search) -> list[str]:
    """Keys that no run has or that may not be varied, conditions that cannot hold, values that do not decode."""
    found, keys = list[str](), search.sweep.space
    fixed = [key for key in keys if key.split(".")[0] in (*FREE, "sweep", "experiment")]
    found += [f"sweep.space.{key}: {key.split('.')[0]} does not shape the adapter; take it out" for key in fixed]
    for key, parameter in keys.items():
        for other, wanted in parameter.when.items():
            where, values = f"sweep.space.{key}.when.{other}", space.allowed(wanted)
            if other not in keys:
                fix = suggest(other, (k for k in keys if k != key))
                found.append(f"{where}: there is no such key in the space; {fix}")
            elif not isinstance(of := keys[other], Categorical):
                found.append(f"{where}: only a categorical key can be a condition; {other} is of a range")
            elif absent := [value for value in values if value not in of.choices]:
                found.append(f"{where}={absent[0]!r}: {other} is never that; choose from {[*of.choices]}")
    if circle := [key for key in keys if key not in space.ordered(keys)]:
        found += [] if found else [f"sweep.space: the conditions of {' and '.join(circle)} go in a circle"]
    if isinstance(search.sweep.sampler, Grid):
        for key, parameter in keys.items():
            found += [f"sweep.space.{key}: {said}" for said in _ran(space.points, parameter)]
        if not found and (count := math.prod(len(space.points(parameter)) for parameter in keys.values())) > MOST:
            found.append(f"sweep.sampler.kind=grid: {count:,} combinations, at most {MOST:,}; draw at random instead")
    return found or _of_its_values(search)


def _of_its_values(search: Search) -> list[str]:
    """What composing and decoding a run says of each choice and of both ends of each range."""
    same = search.changes({})
    found, unknown = [f"sweep.trial: {line}" for line in _ran(compose_variant, same, [])], set[str]()
    if found:
        return found
    for key, values in space.probes(search.sweep.space):
        if key in unknown:
            continue
        said = _ran(compose_variant, same, space.overrides(values))
        if any("there is no such key" in line for line in said):
            unknown.add(key)
        found += [f"sweep.space: {line}" for line in said]
    return found


def _of_the_rest(search: Search) -> list[str]:
    """The objective, the budget, the pruner, the overrides of trials and the storage."""
    from pipelines.search.objective import fields
    from pipelines.search.storage import check_address

    sweep, run, found = search.sweep, search.run, []
    known = fields()
    if sweep.objective not in known:
        fix = suggest(sweep.objective, known)
        found.append(f"sweep.objective={sweep.objective}: it is no number of report.json; {fix}")
    if sweep.budget.trials is None and sweep.budget.hours is None and not isinstance(sweep.sampler, Grid):
        found.append("sweep.budget: when is it enough? give sweep.budget.trials=... or sweep.budget.hours=...")
    shaping = [override for override in sweep.trial if re.split(r"[.=]", override.lstrip("+"))[0] not in CHEAP]
    found += [f"sweep.trial: {o!r} is neither of evaluate nor of verify; give it without sweep.trial" for o in shaping]
    if run.run_dir is not None:
        found.append(f"run_dir={run.run_dir}: each trial has its own under {search.folder}; leave it out")
    validates = bool(run.data.sources("valid")) or run.data.valid_share > 0
    if not isinstance(sweep.pruner, Unpruned) and (run.train.eval_every is None or not validates):
        missing = "train.eval_every=..." if validates else "data.valid=... and train.eval_every=..."
        found.append(f"sweep.pruner.kind={sweep.pruner.kind}: it goes by the validation loss; give {missing}")
    if sweep.objective == "train.valid_loss" and not validates:
        found.append("sweep.objective=train.valid_loss: nothing is validated; give data.valid=...")
    if sweep.objective.startswith("evaluate.") and run.evaluate.examples == 0:
        found.append(f"sweep.objective={sweep.objective}: nothing is evaluated; leave evaluate=off out")
    elif sweep.objective.startswith("evaluate.metric_") and _generates_nothing(search):
        found.append(f"sweep.objective={sweep.objective}: nothing is generated; give evaluate.generate=...")
    return [*found, *_ran(check_address, search.storage)]


def _generates_nothing(search: Search) -> bool:
    try:
        return compose_variant(search.changes({}), []).evaluate.generate == 0
    except ConfigError:
        return False  # said already


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
        return lines(error)
    except ValueError as error:
        return [str(error)]
    return []
