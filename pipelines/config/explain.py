"""Explains what is wrong with a configuration: the key, the value, and what was probably meant."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from hydra.errors import OverrideParseException
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from pipelines.config.override import quoted
from pipelines.config.run import Run
from pipelines.config.shell_words import unreadable
from pipelines.config.synonyms import synonym
from pipelines.config.wanted import one_each, wanted
from tasks.errors import suggest

FIRST = "data.train=FILE, or +experiment=quickstart for a first run"
"""What a person without rows is told."""


def explain_all(details: Sequence[ErrorDetails], run: type[BaseModel], plain: Mapping[str, Any]) -> list[str]:
    """Explains the problems of a configuration, one line a mistake.

    Args:
        details: what pydantic says.
        run: the record that was decoded.
        plain: what it was decoded from.
    """
    return [explain(detail, run, plain) for detail in one_each(list(details))]


def explain(detail: ErrorDetails, run: type[BaseModel], plain: Mapping[str, Any] = {}) -> str:
    """Explains one problem of a configuration: its key, its value and the fix.

    Args:
        detail: what pydantic says of it.
        run: the record that was decoded, whose keys there are.
        plain: what it was decoded from, where one value explains another.
    """
    path, known = _path(detail["loc"], run), keys_of(run)
    key, value = ".".join(path), detail["input"]
    shown = json.dumps(value) if not isinstance(value, dict | list) or len(json.dumps(value)) < 60 else "..."
    match detail["type"]:
        case "extra_forbidden":
            if key in known:  # of another kind of the same group
                return f"{key}={shown}: there is no such key with {path[0]}={detail['loc'][-2]}; '~{key}' takes it away"
            if meant := synonym(key, value, known, plain):
                return f"{key}={shown}: there is no such key; {meant}"
            room = [k for k in known if k.rpartition(".")[0] == ".".join(path[:-1])]
            hint = suggest(key, known, f"choose from {', '.join(room)}", cutoff=0.5)
            return f"{key}={shown}: there is no such key; {hint}"
        case "missing":
            return f"{key} is missing; give {key}=..."
        case "union_tag_invalid" | "union_tag_not_found":
            context = detail.get("ctx", {})
            return (
                f"{key}.kind={json.dumps(context.get('tag'))}: choose from {context.get('expected_tags', 'the kinds')}"
            )
        case "literal_error" if key.endswith(".kind"):  # a union of one
            return f"{key}={shown}: choose from {detail.get('ctx', {}).get('expected')}"
        case "string_pattern_mismatch" if key == "name":
            return f"{key}={shown}: use letters, digits, '.', '_' and '-', a letter or digit first; it names a folder"
        case _ if value in (None, "") and key == "data.train":
            return f"{key} is not given; say {FIRST}"
        case _ if isinstance(value, str) and key in run.model_fields and detail["type"].startswith(("model", "dict")):
            return (
                f"{key}={shown}: this chooses a file; in an experiment write `- override /{key}: {value}` in defaults"
            )
        case _:
            return f"{key}={shown}: {wanted(key, detail, nullable=_takes(key, run, type(None)))}"


_PLACES = {"model": "model.path", "data": "data.train", "train": "data.train"}
"""A group, and the key that a path after it is meant for."""


def explain_hydra(error: Exception, conf: Path) -> str:
    """Explains what Hydra or OmegaConf could not compose, with the fix.

    Args:
        error: theirs.
        conf: the folder of the groups.
    """
    text = str(error)
    if isinstance(error, OverrideParseException):
        return unreadable(error.override.removeprefix("++"))
    if match := re.search(r"Could not find '(\w+)/([^']*)'", text):
        group, choice = match.groups()
        if (key := _PLACES.get(group)) and re.search(r"[/.]", choice):
            return f"{group}={choice}: there is no such choice; write {quoted(f'{key}={choice}')}"
        options = sorted(path.stem for path in (conf / group).glob("*.yaml"))
        hint = suggest(choice, options, "")
        return f"{group}={choice}: there is no such choice; {f'{hint} ' * bool(hint)}choose from {', '.join(options)}"
    if match := re.search(r"Could not override '(\w+)'", text):
        return f"{match[1]}=...: no file of conf/{match[1]} is chosen that could be replaced; write +{match[1]}=..."
    if match := re.search(r"Ambiguous value for argument '[+]*([^']*)'", text):
        key, _, value = match[1].partition("=")
        listed = quoted(f"{key}=[{value}]")
        if _takes(key, Run, tuple):
            return f"{match[1]}: a list is written {listed}; several values without brackets are several runs, with -m"
        return f"{match[1]}: several values are several runs, which -m asks for; a text with a comma stands in quotes"
    if match := re.search(r"Multiple values for (\w+)\. To override", text):
        return f"{match[1]}=... is given twice; choose one"
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"the configuration cannot be composed: {first}"


def _path(loc: tuple[int | str, ...], run: type[BaseModel]) -> list[str]:
    """Where an error is, without the tags that pydantic puts in for a union's member."""
    path: list[str] = []
    node: Any = run
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


def _takes(key: str, run: type[BaseModel], kind: type) -> bool:
    """Whether a value of this kind, such as a list, has a place at the key."""
    nodes: list[Any] = [run]
    for part in key.split("."):
        members = [member for node in nodes for member in _members(node)]
        nodes = [m.model_fields[part].annotation for m in members if part in m.model_fields]
    while nodes:
        node = nodes.pop()
        if node is kind or get_origin(node) is kind:
            return True
        nodes += [arg for arg in get_args(node) if get_origin(node) is not dict]
    return False


def keys_of(run: type[BaseModel]) -> list[str]:
    """The dotted keys of a record, with those of every kind of its groups."""
    return list(_keys(run))


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
