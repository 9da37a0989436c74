"""A configuration names no code: Hydra would import and call, around a run, what its own settings name."""

from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.config.composition import hydra_settings
from tasks.errors import ConfigError, one_line

OF_HYDRA = ("hydra._internal.core_plugins.", "logging.")
"""Where what Hydra's own settings name lies: its launcher, its sweeper, the handlers of its log."""


def require_no_code(overrides: Sequence[str]) -> None:
    """Refuses overrides, and files of conf/ that they choose, by which Hydra would call something of somebody else.

    Raises:
        ConfigError: naming the key and what it names.
    """
    for key, value in _named_code(hydra_settings(overrides), "hydra"):
        if not str(value).startswith(OF_HYDRA):
            raise ConfigError(f"{key}={one_line(value)} names code to call; a configuration names none")


def _named_code(node: Any, at: str) -> Iterator[tuple[str, Any]]:
    """The values by which Hydra and its loggers find what they call."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if key in ("_target_", "()", "class", "factory"):
            yield f"{at}.{key}", value
        yield from _named_code(value, f"{at}.{key}")
