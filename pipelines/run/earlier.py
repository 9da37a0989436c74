"""Reads the settings that an earlier run wrote down, and says in which keys two settings differ."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipelines.config import decode
from tasks.errors import ConfigError

SHOWN = 4
"""The most differences that a message lists."""


def earlier_settings(folder: Path) -> dict[str, Any] | None:
    """The settings of the run in a directory, from its config.yaml; None where they cannot be read.

    A key that came since has its default. Settings that no run of today has are given as they are written.
    """
    try:
        plain = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if not isinstance(plain, dict):
        return None
    try:
        return decode(plain).model_dump(mode="json")
    except ConfigError:
        return plain


def flat(settings: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings by dotted key, each value as JSON.

    Example:
        >>> flat({"lora": {"rank": 8, "targets": ["all"]}, "data": {}})
        {'lora.rank': '8', 'lora.targets': '["all"]', 'data': '{}'}
    """
    if not isinstance(settings, dict) or not settings:
        return {prefix: json.dumps(settings)}
    inner = ((f"{prefix}.{key}" if prefix else key, value) for key, value in settings.items())
    return {key: value for name, node in inner for key, value in flat(node, name).items()}


def differences(keys: Iterable[str], earlier: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The first of these keys with the values of both sides, in words.

    Example:
        >>> differences(["lora.rank", "seed"], {"lora.rank": "8"}, {"lora.rank": "4", "seed": "0"})
        'lora.rank was 8, is 4, seed was absent, is 0'
    """
    keys = [*keys]
    shown = ", ".join(f"{key} was {earlier.get(key, 'absent')}, is {now.get(key, 'absent')}" for key in keys[:SHOWN])
    return shown + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")
