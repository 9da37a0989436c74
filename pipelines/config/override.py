"""Writes and reads overrides as Hydra's parser does: `key=value`, `+group=choice`."""

import json
import re
import shlex
from collections.abc import Sequence
from typing import Any

_WORDS = {"true", "false", "null", "nan", "inf"}  # which Hydra would not take for text


def override(key: str, value: Any) -> str:
    """A value as an override.

    Example:
        >>> override("lora.rank", 8), override("optim.lr", 3e-05), override("lora.targets", ["q_proj"])
        ('lora.rank=8', 'optim.lr=3e-05', 'lora.targets=[q_proj]')
        >>> override("data.train", "a b.jsonl")
        "data.train='a b.jsonl'"
    """
    return f"{key}={text(value)}"


def text(value: Any) -> str:
    """A value as Hydra's parser reads it back.

    Example:
        >>> text([1.0, "null", None, {"a": "it's"}])
        "[1.0,'null',null,{a:'it\\\\'s'}]"
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{','.join(map(text, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{text(item)}" for key, item in value.items()) + "}"
    if not isinstance(value, str):
        return repr(value)
    plain = re.fullmatch(r"[A-Za-z_./][\w./-]*", value, re.ASCII) and value.lower() not in _WORDS
    if plain:
        return value
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + found[2].replace("'", "\\'"), value)
    return f"'{escaped}'"  # a backslash is itself but before a quote


def quoted(typed: str) -> str:
    """An override as bash, zsh and fish all take it: in quotes where one of them would read it otherwise.

    Example:
        >>> quoted("lora.rank=4"), quoted("lora.targets=[q_proj, v_proj]"), quoted("~batch.tokens")
        ('lora.rank=4', "'lora.targets=[q_proj, v_proj]'", "'~batch.tokens'")
        >>> print(quoted("name='3'"))
        "name='3'"
    """
    if "'" in typed and not re.search(r'["$`!\\]', typed):
        return f'"{typed}"'
    return shlex.quote(typed)


def readable(typed: str) -> str:
    """A typed override; one whose plain value has letters beyond ASCII, which Hydra's parser refuses, in quotes.

    Example:
        >>> readable("model.path=/home/jörg/qwen"), readable("model.path=/home/joe/qwen")
        ("model.path='/home/jörg/qwen'", 'model.path=/home/joe/qwen')
    """
    key, _, value = typed.partition("=")
    return typed if value.isascii() or re.search(r"^['\"\[{]|[,(]", value) else override(key, value)


def choices(**chosen: str | None) -> list[str]:
    """The overrides that choose a file of a group; none for `none`, as the forms of the UI say it, and for None.

    Example:
        >>> choices(sweep="rate_and_rank", experiment="none")
        ['+sweep=rate_and_rank']
    """
    return [f"+{group}={choice}" for group, choice in chosen.items() if choice not in (None, "none")]


def split_choices(overrides: Sequence[str], *groups: str) -> tuple[dict[str, str], list[str]]:
    """The choice of each of these groups, the last one counts, and the other overrides.

    Example:
        >>> split_choices(["+experiment=quickstart", "lora.rank=4"], "sweep", "experiment")
        ({'experiment': 'quickstart'}, ['lora.rank=4'])
    """
    chosen, rest = {}, []
    for typed in overrides:
        key, _, value = typed.partition("=")
        if key[:1] == "+" and key[1:] in groups:
            chosen[key[1:]] = value
        else:
            rest.append(typed)
    return chosen, rest
