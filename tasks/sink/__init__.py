"""Sinks, which receive metrics: opened with the context of a run, given a line a step, closed with how it ended.

To add one, write its file and its test, and name it in `SINKS`.
"""

from typing import Annotated

from pydantic import AfterValidator

from tasks.sink.console import Console
from tasks.sink.jsonl import Jsonl
from tasks.sink.metrics import Counters, StepMetrics
from tasks.sink.sink import Durable, MakeSink, Sink, SinkContext, Sinks, Status, durable

SINKS: dict[str, MakeSink] = {"console": Console, "jsonl": Jsonl}
"""The sinks by name. A new one is named here, and nowhere else."""


def _known(name: str) -> str:
    if name not in SINKS:
        raise ValueError(f"there is no such sink; choose from {', '.join(SINKS)}")
    return name


SinkName = Annotated[str, AfterValidator(_known)]
"""A name in the setting `sinks`."""

__all__ = [
    "SINKS",
    "Console",
    "Counters",
    "Durable",
    "Jsonl",
    "MakeSink",
    "Sink",
    "SinkContext",
    "SinkName",
    "Sinks",
    "Status",
    "StepMetrics",
    "durable",
]
