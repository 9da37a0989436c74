"""Explains what is wrong with a configuration: the key, the value, and what was probably meant."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from hydra.errors import OverrideParseException
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from tasks.errors import suggest


def explain(detail: ErrorDetails, run: type[BaseModel]) -> str:
    """Explains one problem of a configuration: its key, its value and the fix.

    Args:
        detail: what pydantic says of it.
        run: the record that was decoded, whose keys there are.
    """
    path, known = _path(detail["loc"], run), list(_keys(run))
    key, value = ".".join(path), detail["input"]
    shown = json.dumps(value) if not isinstance(value, dict | list) or len(json.dumps(value)) < 60 else "..."
    match detail["type"]:
        case "extra_forbidden":
            if key in known:  # of another kind of the same group
                return f"{key}={shown}: there is no such key with {path[0]}={detail['loc'][-2]}; '~{key}' takes it away"
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
        case _ if value is None:
            return f"{key} is not given; say {key}=..."
        case _:
            return f"{key}={shown}: {detail['msg'].removeprefix('Value error, ')}"


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
        options = sorted(path.stem for path in (conf / group).glob("*.yaml"))
        hint = suggest(choice, options, "")
        return f"{group}={choice}: there is no such choice; {f'{hint} ' * bool(hint)}choose from {', '.join(options)}"
    if match := re.search(r"Could not override '(\w+)'", text):
        return f"{match[1]}=...: no file of conf/{match[1]} is chosen that could be replaced; write +{match[1]}=..."
    if match := re.search(r"Ambiguous value for argument '[+]*([^']*)'", text):
        return f"{match[1]}: several values are several runs, which -m asks for; a text with a comma stands in quotes"
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"the configuration cannot be composed: {first}"


def unreadable(override: str) -> str:
    """Explains an override that Hydra's parser refuses.

    Example:
        >>> print(unreadable("lora.rank"))
        cannot read the override 'lora.rank'; write key=value, as in lora.rank=16
        >>> print(unreadable("data.train=rows(1).jsonl"))
        cannot read the override 'data.train=rows(1).jsonl'; put its value in quotes of its own: "data.train='...'"
    """
    key, equals, _ = override.partition("=")
    fix = f"put its value in quotes of its own: \"{key}='...'\"" if equals else "write key=value, as in lora.rank=16"
    return f"cannot read the override {override!r}; {fix}"


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
