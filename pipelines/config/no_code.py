"""A configuration names no code: Hydra would import and call, around a run, what its own settings name."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import Override, ValueType

from pipelines.config.composition import CONF, hydra_settings, parse_override
from tasks.errors import ConfigError, one_line

OF_HYDRA = ("hydra._internal.core_plugins.", "logging.")
"""Where what Hydra's own settings name lies: its launcher, its sweeper, the handlers of its log."""


def require_no_code(overrides: Sequence[str]) -> None:
    """Refuses overrides, and files of conf/ that they choose, by which Hydra would call something of somebody else.

    Args:
        overrides: as typed; of one that asks for several choices, each is looked at.

    Raises:
        ConfigError: naming the key and what it names.
    """
    swept = [parsed for parsed in map(parse_override, overrides) if parsed.is_sweep_override()]
    fixed = [override for override in overrides if not parse_override(override).is_sweep_override()]
    for chosen in [None, *(choice for parsed in swept for choice in _choices(parsed))]:
        for key, value in _named_code(hydra_settings([*fixed, chosen] if chosen else fixed), "hydra"):
            if not str(value).startswith(OF_HYDRA):
                raise ConfigError(f"{key}={one_line(value)} names code to call; a configuration names none")


def _choices(swept: Override) -> Iterator[str]:
    """The overrides of one choice each; none for a key whose values are no files of conf/, nor Hydra's."""
    key = swept.get_key_element()
    group = key.lstrip("+").partition("@")[0]
    if not (CONF / group).is_dir() and not group.startswith("hydra"):
        return
    if swept.value_type == ValueType.GLOB_CHOICE_SWEEP:
        values: Iterable[object] = (path.stem for path in (CONF / group).glob("*.yaml"))
    else:
        values = swept.sweep_string_iterator()
    yield from (f"{key}={value}" for value in values)


def _named_code(node: Any, at: str) -> Iterator[tuple[str, Any]]:
    """The values by which Hydra and its loggers find what they call."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if key in ("_target_", "()", "class", "factory"):
            yield f"{at}.{key}", value
        yield from _named_code(value, f"{at}.{key}")
