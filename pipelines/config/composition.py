"""Composition: Hydra's YAML files and the overrides laid over each other, what was typed on top."""

import logging
import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from pipelines.config.experiment_file import check_experiment_file, yaml_problem
from pipelines.config.explain import explain_hydra
from pipelines.config.override import readable
from pipelines.config.shell_words import check_words, unreadable
from pipelines.config.typed import implied_choices, typed_wins
from tasks.errors import ConfigError

log = logging.getLogger(__name__)
CONF = Path(__file__).resolve().parents[2] / "conf"
EXPERIMENTS = tuple(sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
TOO_DEEP = "the configuration is nested too deep to be read"
_HYDRA = threading.Lock()  # Hydra's state is one per process


@lru_cache(maxsize=16)
def composed_once(overrides: tuple[str, ...]) -> Any:
    """As `composed`, kept for the next question; to be copied, not changed."""
    return composed(overrides)


def composed(overrides: Sequence[str]) -> Any:
    """The configuration of these overrides, not yet checked.

    Raises:
        ConfigError: an override cannot be read, or names a file of conf/ that is not there.
    """
    config, typed = _hydra(overrides), typed_values(overrides)
    if any(override.startswith("+experiment=") for override in overrides):
        kinds = {group: config[group].get("kind") for group in groups() if group in config}
        if implied := implied_choices(kinds, typed):
            log.info("%s, which has the key that was typed", " ".join(implied))
            config, typed = _hydra([*overrides, *implied]), typed_values([*implied, *overrides])
        let_typed_win(config, typed, overrides)
    return config


def let_typed_win(config: Any, typed: dict[str, str], overrides: Sequence[str]) -> None:
    """Makes what was typed stronger than the experiment, in place, and says what changed."""
    if not any(override.startswith("+experiment=") for override in overrides):
        return
    chosen = [key for key in typed if key in groups() and isinstance(config.get(key), DictConfig)]
    before: dict[str, str] = {}
    if chosen:
        choices = _choices(tuple(o for o in overrides if o.startswith("+experiment=")))
        before = {group: choices[group] for group in chosen if choices.get(group) not in (None, typed[group])}
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    named: Any = plain
    for key, value, stays in typed_wins(named, typed, before, _content):
        group, _, name = key.partition(".")
        if stays and (old := plain[group].get(name)) is not None:
            log.info("%s is %s as typed, in place of the experiment's %s", key, value, old)
        with open_dict(config[group]):
            if stays:
                config[group][name] = value
            else:
                del config[group][name]


@lru_cache(maxsize=16)
def _choices(overrides: tuple[str, ...]) -> dict[str, str]:
    return dict(_hydra(overrides, hydra=True).hydra.runtime.choices)


@lru_cache(maxsize=64)
def _content(group: str, choice: str) -> dict[str, Any]:
    content = OmegaConf.to_container(_hydra([f"{group}={choice}"])[group], resolve=False)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def typed_values(overrides: Sequence[str]) -> dict[str, str]:
    """The values that were typed, by key or group."""
    return {key_of(o).lstrip("+"): o.partition("=")[2] for o in overrides if "=" in o and not o.startswith("~")}


def hydra_settings(overrides: Sequence[str]) -> Any:
    """Hydra's own settings with these overrides, as plain values."""
    return OmegaConf.to_container(_hydra(overrides, hydra=True).hydra, resolve=False)


def _hydra(overrides: Sequence[str], *, hydra: bool = False) -> Any:
    _check_choices(overrides)
    with _HYDRA:
        outer = GlobalHydra.instance().hydra
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(CONF), version_base="1.3"):
                return hydra_compose("config", overrides=lenient(overrides), return_hydra_config=hydra)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain_hydra(error, CONF)) from error
        except RecursionError:
            raise ConfigError(TOO_DEEP) from None
        except yaml.YAMLError as error:  # such as a tag that names code
            raise ConfigError(yaml_problem(error)) from error
        finally:
            GlobalHydra.instance().hydra = outer


def _check_choices(overrides: Sequence[str]) -> None:
    """Refuses a group without a choice, and an experiment file that Hydra would read in another way than is meant."""
    for override in overrides:
        key, _, value = override.partition("=")
        if key in groups() and re.fullmatch(r"null|true|false|[-\d.]*", value, re.IGNORECASE):  # not a text to Hydra
            names = ", ".join(sorted(path.stem for path in (CONF / key).glob("*.yaml")))
            raise ConfigError(f"{override}: {key} takes the name of a file of conf/{key}; choose from {names}")
        if key == "+experiment" and (file := CONF / "experiment" / f"{value}.yaml").is_file():
            check_experiment_file(file, groups() - {"experiment", "sweep", "schedule"})


def to_plain(config: Any) -> dict[str, Any]:
    """An OmegaConf node as plain values, its interpolations resolved."""
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(explain_hydra(error, CONF)) from error
    except RecursionError:
        raise ConfigError(TOO_DEEP) from None
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items() if key != "hydra"}


def lenient(overrides: Sequence[str]) -> list[str]:
    """The overrides with each plain `key=value` allowed to name any key, so that `decode` sees every unknown one.

    Hydra itself stops at the first key that no YAML file has, even one that the record gives a default for.

    Example:
        >>> lenient(["lora=rslora", "lora.rank=4", "+experiment=quickstart"])
        ['lora=rslora', '++lora.rank=4', '+experiment=quickstart']
    """
    check_words(overrides, EXPERIMENTS)
    overrides = [readable(o) for o in overrides]
    return [
        o if o.startswith(("+", "~", "hydra")) or key_of(o) in groups() or "@" in key_of(o) else f"++{o}"
        for o in overrides
    ]


def key_of(override: str) -> str:
    """The key of an override, `lora.rank` of `lora.rank=4`."""
    return override.partition("=")[0]


def groups() -> set[str]:
    """The groups of conf/."""
    return {path.name for path in CONF.iterdir() if path.is_dir()}


def parse_override(override: str) -> Override:
    """An override as Hydra's own parser reads it.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return OverridesParser.create().parse_override(readable(override))
    except HydraException as error:
        raise ConfigError(unreadable(override)) from error
    except RecursionError:
        raise ConfigError(TOO_DEEP) from None
