"""Composing a run: Hydra's YAML in, one frozen `Run` out. The only file that knows OmegaConf and `compose`.

Every value is decoded once and strictly; what is wrong with a configuration is said all at once, before anything
heavy is imported and before anything is written.
"""

import difflib
import json
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from tasks.artifact import Record
from tasks.batch import Bucketed, Packed, Padded
from tasks.data import Data
from tasks.errors import ConfigError
from tasks.lora import LoRA, RsLoRA
from tasks.loss import MSE, CrossEntropy, MaskedCrossEntropy
from tasks.memory import Memory
from tasks.model import Model
from tasks.optim import AdamW
from tasks.settings import Evaluate, Train, Verify
from tasks.sink import SinkName

CONF = Path(__file__).resolve().parents[1] / "conf"
EXPERIMENTS = tuple(sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
_HYDRA = threading.Lock()  # Hydra's state is one per process


class Run(Record):
    """Everything that a run is made of; the top-level keys of the configuration."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    run_dir: str | None
    resume: Literal["auto", "never"]
    gpu_lock: Literal["wait", "fail"]
    orchestrate: bool
    sinks: tuple[SinkName, ...]
    model: Model
    data: Data
    batch: Annotated[Packed | Bucketed | Padded, Field(discriminator="kind")]
    lora: Annotated[LoRA | RsLoRA, Field(discriminator="kind")]
    loss: Annotated[CrossEntropy | MaskedCrossEntropy | MSE, Field(discriminator="kind")]
    optim: Annotated[AdamW, Field()]
    memory: Memory
    train: Train
    evaluate: Evaluate
    verify: Verify


def compose(overrides: Sequence[str] = ()) -> Run:
    """The run that these Hydra overrides describe.

    Raises:
        ConfigError: every problem at once, each with its key, its value and the fix.

    Example:
        >>> compose(["+experiment=quickstart", "lora.rank=4"]).lora.rank
        4
    """
    return decode(compose_plain(overrides))


def compose_plain(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The composed configuration as plain values, not yet checked."""
    with _HYDRA:
        outer = GlobalHydra.instance().hydra
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(CONF), version_base="1.3"):
                return to_plain(hydra_compose("config", overrides=lenient(overrides)))
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_hydra_message(error)) from error
        finally:
            GlobalHydra.instance().hydra = outer


def to_plain(config: Any) -> dict[str, Any]:
    """An OmegaConf node as plain values, its interpolations resolved."""
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_hydra_message(error)) from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items() if key != "hydra"}


def lenient(overrides: Sequence[str]) -> list[str]:
    """The overrides with each plain `key=value` allowed to name any key, so that `decode` sees every unknown one.

    Hydra itself stops at the first key that no YAML file has, even one that the record gives a default for.

    Example:
        >>> lenient(["lora=rslora", "lora.rank=4", "+experiment=quickstart"])
        ['lora=rslora', '++lora.rank=4', '+experiment=quickstart']
    """
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    if unparsable := [o for o in overrides if "=" not in o and not o.startswith("~")]:
        raise ConfigError(f"cannot read the override {unparsable[0]!r}; write key=value, as in lora.rank=16")
    return [
        o if o.startswith(("+", "~", "hydra")) or _key(o) in groups or "@" in _key(o) else f"++{o}" for o in overrides
    ]


def check_overrides(overrides: Sequence[str]) -> list[str]:
    """Lets through what a web form may change: the keys of a run and the choices in conf/, nothing around them.

    Hydra's own settings, another experiment, another package, files outside conf/, resolvers such as `${oc.env:HOME}`
    and sweeps are refused, by what Hydra's parser reads and not by how the text looks. `${lora.rank}` is fine.

    Raises:
        ConfigError: naming the override and the fix.

    Example:
        >>> check_overrides(["lora.rank=16"])
        ['lora.rank=16']
    """
    for override in overrides:
        if reason := _beyond(_parse(override)):
            raise ConfigError(f"the override {override!r} is not allowed here: {reason}")
    return list(overrides)


def _beyond(parsed: Override) -> str | None:
    """Why an override reaches beyond the keys of a run, if it does."""
    key, value = parsed.key_or_group, parsed.value()
    top, _, rest = key.partition(".")
    room = [path.stem for path in (CONF / top).glob("*.yaml")] if not rest else []
    if top == "experiment":
        return "the experiment has a field of its own"
    if parsed.package is not None or not re.fullmatch(r"[\w.-]+", key, re.ASCII):
        return "name a key with dots, as in lora.rank=16"
    if top not in Run.model_fields:
        near = difflib.get_close_matches(top, Run.model_fields, n=1)
        return f"there is no key {top!r}; " + (f"did you mean {near[0]!r}?" if near else "see conf/config.yaml")
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


def decode(plain: dict[str, Any]) -> Run:
    """Plain values into a Run, strictly.

    Raises:
        ConfigError: every problem at once.
    """
    try:
        return Run.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors()]
        if len(problems) == 1:
            raise ConfigError(problems[0]) from None
        raise ConfigError(f"{len(problems)} problems in the configuration:\n  " + "\n  ".join(problems)) from None


def _key(override: str) -> str:
    return override.partition("=")[0]


def _parse(override: str) -> Override:
    try:
        return OverridesParser.create().parse_override(override)
    except HydraException as error:
        raise ConfigError(f"cannot read the override {override!r}; write key=value, as in lora.rank=16") from error


def _problem(detail: ErrorDetails) -> str:
    path, known = _path(detail["loc"]), list(_keys(Run))
    key, value = ".".join(path), detail["input"]
    shown = json.dumps(value) if not isinstance(value, dict | list) or len(json.dumps(value)) < 60 else "..."
    match detail["type"]:
        case "extra_forbidden":
            room = [k for k in known if k.rpartition(".")[0] == ".".join(path[:-1])]
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(room)}"
            return f"{key}={shown}: there is no such key; {hint}"
        case "missing":
            return f"{key} is missing; give {key}=..."
        case "union_tag_invalid" | "union_tag_not_found":
            context = detail.get("ctx", {})
            return (
                f"{key}.kind={json.dumps(context.get('tag'))}: choose from {context.get('expected_tags', 'the kinds')}"
            )
        case _ if value is None:
            return f"{key} is not given; say {key}=..."
        case _:
            return f"{key}={shown}: {detail['msg'].removeprefix('Value error, ')}"


def _path(loc: tuple[int | str, ...]) -> list[str]:
    """Where an error is, without the tags that pydantic puts in for a union's member."""
    path: list[str] = []
    node: Any = Run
    for part in loc:
        members = _members(node)
        kinds = [k for m in members if "kind" in m.model_fields for k in get_args(m.model_fields["kind"].annotation)]
        if part in kinds and not any(part in m.model_fields for m in members):
            continue
        path.append(str(part))
        owner = next((m for m in members if part in m.model_fields), None)
        node = owner.model_fields[str(part)].annotation if owner else None
    return [
        part
        for part in path
        if not re.search(r"[\[(]", part) and part not in ("int", "float", "str", "constrained-str")
    ]


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    for member in _members(node):
        for name, field in member.model_fields.items():
            yield prefix + name
            yield from _keys(field.annotation, f"{prefix}{name}.")


def _members(node: Any) -> list[type[BaseModel]]:
    if isinstance(node, type) and issubclass(node, BaseModel):
        return [node]
    if get_origin(node) is Annotated or get_origin(node) is Union or type(node).__name__ == "UnionType":
        return [member for arg in get_args(node) for member in _members(arg)]
    return []


def _hydra_message(error: Exception) -> str:
    text = str(error)
    if found := re.search(r"Could not find '(\w+)/([^']*)'", text):
        group, choice = found.groups()
        options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        near = difflib.get_close_matches(choice, options, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{group}={choice}: there is no such choice; {hint}choose from {', '.join(options)}"
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"the configuration cannot be composed: {first}"
