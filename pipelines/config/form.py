"""Checks what a web form may change: the keys of a run and the choices in conf/, nothing around them."""

import re
from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from pipelines.config import CONF, EXPERIMENTS, Run, parse_override
from tasks.errors import ConfigError, suggest


def check_overrides(overrides: Sequence[str], *, besides: Sequence[str] = ()) -> list[str]:
    """Lets through what a web form may change.

    Hydra's own settings, another experiment, another package, files outside conf/, resolvers such as `${oc.env:HOME}`
    and sweeps are refused, by what Hydra's parser reads and not by how the text looks. `${lora.rank}` is fine.

    Args:
        overrides: as typed.
        besides: top-level keys that may be changed besides those of a run.

    Raises:
        ConfigError: naming the override and the fix.

    Example:
        >>> check_overrides(["lora.rank=16"])
        ['lora.rank=16']
    """
    for override in overrides:
        if reason := _beyond(parse_override(override), besides):
            raise ConfigError(f"the override {override!r} is not allowed here: {reason}")
    return list(overrides)


def _beyond(parsed: Override, besides: Sequence[str]) -> str | None:
    """Why an override reaches beyond the keys of a run, if it does."""
    key, value = parsed.key_or_group, parsed.value()
    top, _, rest = key.partition(".")
    room = [path.stem for path in (CONF / top).glob("*.yaml")] if not rest else []
    if top == "experiment":
        return "the experiment has a field of its own"
    if parsed.package is not None or not re.fullmatch(r"[\w.-]+", key, re.ASCII):
        return "name a key with dots, as in lora.rank=16"
    if top not in (*Run.model_fields, *besides):
        return f"there is no key {top!r}; {suggest(top, Run.model_fields, 'see conf/config.yaml')}"
    if parsed.is_sweep_override():
        return "it asks for several runs; give one value, in quotes if it has a comma"
    if "${" in re.sub(r"\$\{[\w.]+\}", "", str(value)):
        return "it calls a resolver"
    if room and value is not None and value not in room:
        return f"choose from {', '.join(sorted(room))}"
    return None


def check_experiment(name: str) -> str:
    """Refuses an experiment that is no file of conf/experiment; `none` is none.

    Raises:
        ValueError: naming what there is.
    """
    if name not in ("none", *EXPERIMENTS):
        raise ValueError(f"there is no experiment {name!r}; choose from none, {', '.join(EXPERIMENTS)}")
    return name
