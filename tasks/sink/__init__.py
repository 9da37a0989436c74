"""Where metrics go: each sink takes a line a step and is closed at the end."""

from typing import Literal

from tasks.sink.console import Console
from tasks.sink.jsonl import Jsonl
from tasks.sink.metrics import Counters, Durable, MakeSink, Sink, StepMetrics, durable

SinkName = Literal["console", "jsonl"]

SINKS: dict[SinkName, type[Console] | type[Jsonl]] = {"console": Console, "jsonl": Jsonl}
"""The names that `sinks` may hold."""

__all__ = ["SINKS", "Console", "Counters", "Durable", "Jsonl", "MakeSink", "Sink", "SinkName", "StepMetrics", "durable"]
