"""Composes a search: the space, the run that is varied, and its folder."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipelines.config import CONF, Run, compose_plain, decode
from pipelines.config.explain import explain
from pipelines.run.run_dir import OUTPUTS
from pipelines.search import space
from pipelines.search.config import PARAMETERS, Sweep
from tasks.device.blas import blas_problem
from tasks.errors import ConfigError

SWEEPS = OUTPUTS / "sweeps"


@dataclass(frozen=True)
class Search:
    """A search as composed.

    Attributes:
        sweep: the settings under `sweep`.
        run: the run that is varied.
        base: the overrides of that run.
    """

    sweep: Sweep
    run: Run
    base: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The folder of everything that the search writes."""
        given = self.sweep.folder
        return Path(given).expanduser().absolute() if given else SWEEPS / self.sweep.study

    @property
    def storage(self) -> str:
        """The address of the study's database."""
        return self.sweep.storage or f"sqlite:///{self.folder / 'study.db'}"

    def trial_folder(self, number: int) -> Path:
        """The run directory of a trial."""
        return self.folder / "trials" / f"{number:04d}"

    def changes(self, values: space.Values, *, cheap: bool = True) -> list[str]:
        """The overrides of a trial; with `cheap=False` without those of `sweep.trial`, as the run says."""
        return [*self.base, *(self.sweep.trial if cheap else ()), *space.overrides(values)]


def compose_search(overrides: Sequence[str]) -> Search:
    """The search that these overrides describe, decoded strictly.

    Raises:
        ConfigError: every problem of the run and of the search at once.
    """
    if problem := blas_problem():
        raise ConfigError(problem)
    plain = compose_plain(overrides)
    if (given := plain.pop("sweep", None)) is None:
        choices = sorted(path.stem for path in (CONF / "sweep").glob("*.yaml"))
        raise ConfigError(f"say which sweep: +sweep=NAME; there are {', '.join(choices)}")
    problems, run, sweep = list[str](), None, None
    try:
        run = decode(plain)
    except ConfigError as error:
        problems += error.problems
    try:
        sweep = decode_sweep(given)
    except ConfigError as error:
        problems += error.problems
    if run is None or sweep is None:
        raise ConfigError(*problems)
    base = [o for o in overrides if not o.startswith(("+sweep=", "sweep.", "+sweep.", "++sweep."))]
    return Search(sweep, run, tuple(base))


def decode_sweep(plain: Any) -> Sweep:
    """The `sweep` key as a record.

    Raises:
        ConfigError: every problem at once.
    """
    if not isinstance(plain, dict):
        raise ConfigError(f"sweep={plain!r}: say which: +sweep=NAME")
    named = {key: {"kind": plain[key]} for key in ("sampler", "pruner") if isinstance(plain.get(key), str)}
    plain, given, problems = {**plain, **named}, plain.get("space"), []
    keys = by_key(given) if isinstance(given, dict) else {}
    for key, value in keys.items():
        problems += _parameter_problems(f"sweep.space.{key}", value)
    # Keys that are wrong in themselves are said above; the rest is decoded with a stand-in for them.
    stand_in = {"any": {"kind": "categorical", "choices": [0]}} if keys else given
    problems += _problems("sweep", {**plain, "space": stand_in}, Sweep)
    if problems:
        raise ConfigError(*problems)
    return Sweep.model_validate_json(json.dumps({**plain, "space": keys}))


def by_key(given: dict[str, Any]) -> dict[str, Any]:
    """The space by dotted key, whether it is written as `optim.lr: {...}` or, by an override, as `optim: {lr: {...}}`.

    Null takes a key away.

    Example:
        >>> by_key({"optim.lr": {"kind": "float", "high": 1}, "seed": {}, "optim": {"lr": {"high": 2}}, "seed": None})
        {'optim.lr': {'kind': 'float', 'high': 2}}
    """
    keys: dict[str, Any] = {}
    waiting = [*given.items()]  # dotted keys, which presets write, before nested ones, which overrides make
    for path, node in waiting:
        if node is None:
            keys.pop(path, None)
        elif not isinstance(node, dict):
            keys[path] = node
        else:
            inner = {key: f"{path}.{key}" for key, value in node.items() if key != "when" and _is_deeper(value, key)}
            settings = {key: value for key, value in node.items() if key not in inner}
            if settings or not inner:
                keys[path] = {**keys.get(path, {}), **settings}
            waiting += [(name, node[key]) for key, name in inner.items()]
    return keys


def _is_deeper(value: Any, key: str) -> bool:
    """Whether an entry under a key of the space is a key of the space itself, not a field of a parameter."""
    fields = {name for kind in PARAMETERS.values() for name in kind.model_fields}
    return isinstance(value, dict) or (value is None and key not in fields)


def _parameter_problems(key: str, value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f"{key}={json.dumps(value)}: give a kind, as in {{kind: categorical, choices: [4, 8]}}"]
    kind = value.get("kind")
    if kind not in PARAMETERS:
        return [f"{key}.kind={json.dumps(kind)}: choose from {', '.join(PARAMETERS)}"]
    return _problems(key, value, PARAMETERS[kind])


def _problems(prefix: str, plain: dict[str, Any], record: type[BaseModel]) -> list[str]:
    try:
        record.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        messages = [explain(detail, record) if detail["loc"] else f": {_plainly(detail)}" for detail in error.errors()]
        deeper = [re.sub(r"(; '~|did you mean )", rf"\g<1>{prefix}.", line) for line in messages]
        return [f"{prefix}{line}" if line.startswith(":") else f"{prefix}.{line}" for line in deeper]
    return []


def _plainly(detail: ErrorDetails) -> str:
    return detail["msg"].removeprefix("Value error, ")
