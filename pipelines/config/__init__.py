"""Turns overrides into one frozen Run. Only this room knows OmegaConf."""

from pipelines.config.compose import (
    compose,
    compose_on,
    compose_plain,
    compose_variant,
    decode,
    job_overrides,
    multirun_folder,
    without_sweeps,
)
from pipelines.config.composition import CONF, EXPERIMENTS, lenient, parse_override, to_plain
from pipelines.config.no_code import require_no_code
from pipelines.config.run import Run

__all__ = [
    "CONF",
    "EXPERIMENTS",
    "Run",
    "compose",
    "compose_on",
    "compose_plain",
    "compose_variant",
    "decode",
    "job_overrides",
    "lenient",
    "multirun_folder",
    "parse_override",
    "require_no_code",
    "to_plain",
    "without_sweeps",
]
