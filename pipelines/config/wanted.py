"""What a value should have been, in plain words: pydantic's errors without pydantic's language."""

import json
import re
from typing import Any

from pydantic_core import ErrorDetails

from pipelines.config.override import quoted, text
from tasks.errors import suggest

OTHER_NAMES = {"bf16": "bfloat16", "fp16": "float16", "half": "float16", "fp32": "float32", "float": "float32"}
OTHER_NAMES |= {"true": "auto", "on": "auto", "none": "off"}
_FACTORS = {"k": 10**3, "m": 10**6, "gb": 1, "g": 1, "gib": 1, "%": 0.01}
_WORDS = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
_NOTHING = {"never", "none", "no", "off", "false", "nil", ""}


def wanted(key: str, detail: ErrorDetails, *, nullable: bool = False) -> str:
    """Says what a value of a key should be, with what to write where that can be seen.

    Args:
        key: dotted.
        detail: what pydantic says.
        nullable: whether null is a value of the key.

    Example:
        >>> wanted("memory.limit_gb", {"type": "float_parsing", "loc": (), "msg": "", "input": "8GB"})
        'give a number; write memory.limit_gb=8'
    """
    value, context, kind = detail["input"], detail.get("ctx", {}), detail["type"]
    if kind == "literal_error":
        return _choice(key, value, str(context["expected"]))
    if kind in _BOUNDS:
        sign, bound = _BOUNDS[kind]
        return f"give a number {sign} {context[bound]:.12g}"
    if key == "data.valid" and isinstance(value, int | float):
        return f"give a file; a share of train is data.valid_share={value}"
    name = next((name for start, name in _NAMES.items() if kind.startswith(start)), None)
    if name is None:
        return detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    fix = _fix(key, value, name)
    if nullable and str(value).lower() in _NOTHING:
        fix = f"; write {key}=null"
    return f"give {name}{' or null' if nullable and not fix else ''}{fix}"


_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a number that is finite",
    "string_too_short": "a text that is not empty",
    "string": "a text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "names and values",
    "model": "names and values",
    "too_short": "a list that is not empty",
}
"""What a kind of error wants, by how its name begins."""

_BOUNDS = {
    "greater_than_equal": ("of at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("of at most", "le"),
    "less_than": ("below", "lt"),
}


def _choice(key: str, value: Any, expected: str) -> str:
    choices = re.findall(r"'([^']*)'", expected) or re.findall(r"-?\d+", expected)
    meant = OTHER_NAMES.get(str(value).lower())
    if meant not in choices:
        folded = {choice.lower(): choice for choice in choices}
        meant = folded.get(str(value).lower())
    if not meant and (number := re.match(r"\d+", str(value))) and number[0] in choices:  # 4bit
        meant = number[0]
    near = f"did you mean {meant}?" if meant else suggest(str(value), choices, "")
    return f"{near}{' ' * bool(near)}choose from {', '.join(choices)}"


def _fix(key: str, value: Any, name: str) -> str:
    if name == "a list":
        return f"; write {quoted(f'{key}=[{text(value)}]')}" if isinstance(value, str | int | float) else ""
    if name == "names and values":
        pair = str(value).replace(":", ": ") if isinstance(value, str) and ":" in value else "name: value"
        return f"; write {quoted(f'{key}={{{pair}}}')}"
    if name == "true or false" and str(value).lower() in _WORDS:
        return f"; write {key}={_WORDS[str(value).lower()]}"
    if "number" in name:
        return _number(key, value, whole=name == "a whole number")
    if name == "a text" and isinstance(value, int | float | bool):
        return f"""; write {quoted(f"{key}='{json.dumps(value)}'")}"""
    return ""


def _number(key: str, value: Any, *, whole: bool) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"; write {key}={int(value)}"
    match = re.fullmatch(r"\s*(-?[\d.,_]+(?:e-?\d+)?)\s*([a-z%]*)\s*", str(value), re.IGNORECASE)
    factor = match and (_FACTORS.get(match[2].lower()) if match[2] else 1)
    if not match or not factor:
        return ""
    try:
        number = float(match[1].replace(",", "").replace("_", "")) * factor
    except ValueError:
        return ""
    return f"; write {key}={number:.15g}" if not whole or number == int(number) else ""


def one_each(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """The errors without those that only follow from others: a list is too short because an item of it was wrong."""
    locations = [detail["loc"] for detail in details]

    def follows(detail: ErrorDetails) -> bool:
        inside = (loc for loc in locations if len(loc) > len(detail["loc"]))
        return detail["type"] == "too_short" and any(loc[: len(detail["loc"])] == detail["loc"] for loc in inside)

    return [detail for detail in details if not follows(detail)]
