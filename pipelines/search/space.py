"""Draws values from the space of a search, and writes them as overrides."""

import json
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any

import optuna

from pipelines.config.override import override
from pipelines.search.config import Categorical, Float, Int, Parameter

Space = Mapping[str, Parameter]
Values = dict[str, Any]


def suggest(trial: optuna.Trial, space: Space) -> Values:
    """Draws the values of a trial; a key whose condition fails has none. A trial always draws equal values."""
    values: Values = {}
    for key in ordered(space):
        if in_play(space[key], values):
            values[key] = _draw(trial, key, space[key])
    return values


def in_play(parameter: Parameter, values: Values) -> bool:
    """Whether the conditions of a key are met by the values drawn so far.

    Example:
        >>> dropout = Float(kind="float", low=0, high=0.5, when={"lora": "rslora"})
        >>> in_play(dropout, {"lora": "lora"}), in_play(dropout, {"lora": "rslora"})
        (False, True)
    """
    return all(key in values and values[key] in allowed(wanted) for key, wanted in parameter.when.items())


def allowed(wanted: Any) -> list[Any]:
    """The values of a condition as a list; a single one may be written without."""
    return wanted if isinstance(wanted, list) else [wanted]


def ordered(space: Space) -> list[str]:
    """The keys, each after those that its condition names; those that wait for each other in a circle are left out."""
    done: list[str] = []
    left = list(space)
    while ready := [key for key in left if set(space[key].when) <= {*done}]:
        done += ready
        left = [key for key in left if key not in done]
    return done


def grid(space: Space) -> list[Values]:
    """Every combination, each once; a key that is not in play does not multiply.

    Example:
        >>> ranks = Categorical(kind="categorical", choices=(4, 8))
        >>> space = {"lora.rank": ranks, "seed": Int(kind="int", low=0, high=1)}
        >>> [list(values.values()) for values in grid(space)]
        [[4, 0], [4, 1], [8, 0], [8, 1]]
    """
    keys, combinations = ordered(space), dict[str, Values]()
    for point in product(*(points(space[key]) for key in keys)):
        values: Values = {}
        for key, value in zip(keys, point, strict=True):
            if in_play(space[key], values):
                values[key] = value
        combinations.setdefault(json.dumps(values), values)
    return [*combinations.values()]


def size(space: Space, most: int = 10_000) -> int | None:
    """The number of combinations; None for a range without steps, and for more than `most`.

    Example:
        >>> ranks = Categorical(kind="categorical", choices=(4, 8))
        >>> size({"lora.rank": ranks}), size({"optim.lr": Float(kind="float", low=0.1, high=1.0)})
        (2, None)
    """
    try:
        counts = [len(points(parameter)) for parameter in space.values()]
    except ValueError:
        return None
    return len(grid(space)) if prod(counts) <= most else None


def points(parameter: Parameter) -> list[Any]:
    """All values of a key in order.

    Raises:
        ValueError: it has no step, so that there are too many.
    """
    if isinstance(parameter, Categorical):
        return list(parameter.choices)
    if parameter.step is None:
        raise ValueError("a grid needs a step, or a list of choices")
    count = int((parameter.high - parameter.low) / parameter.step + 1e-9) + 1
    return [parameter.low + n * parameter.step for n in range(count)]


def ends(parameter: Parameter) -> list[Any]:
    """The values that are checked before the search: every choice, or both ends of a range."""
    return list(parameter.choices) if isinstance(parameter, Categorical) else [parameter.low, parameter.high]


def probes(space: Space) -> Iterator[tuple[str, Values]]:
    """Every key with each of `ends`, together with values that put it in play."""
    for key in ordered(space):
        around: Values = {}
        for other in _needed(key, space):
            wanted = next((allowed(space[k].when[other]) for k in [key, *around] if other in space[k].when), None)
            around[other] = wanted[0] if wanted else ends(space[other])[0]
        for value in ends(space[key]):
            yield key, {**around, key: value}


def overrides(values: Values) -> list[str]:
    """Values as Hydra's overrides."""
    return [override(key, value) for key, value in values.items()]


def encode(value: Any) -> Any:
    """A choice as the study stores it; lists, which it cannot store, as JSON."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _needed(key: str, space: Space) -> list[str]:
    """The keys that must have a value before a key is in play, the outermost first."""
    needed: list[str] = []
    for other in space[key].when:
        needed += [name for name in (*_needed(other, space), other) if name not in needed]
    return needed


def _draw(trial: optuna.Trial, key: str, parameter: Parameter) -> Any:
    if isinstance(parameter, Int):
        return trial.suggest_int(key, parameter.low, parameter.high, step=parameter.step, log=parameter.log)
    if isinstance(parameter, Float):
        return trial.suggest_float(key, parameter.low, parameter.high, step=parameter.step, log=parameter.log)
    encoded = [encode(choice) for choice in parameter.choices]
    return parameter.choices[encoded.index(trial.suggest_categorical(key, encoded))]
