"""The interface of a sink: opened with the context of its run, given a line a step, closed with how training ended."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from tasks.errors import Interrupted, Pruned
from tasks.sink.metrics import StepMetrics

Status = Literal["finished", "stopped", "pruned", "failed"]
"""How a training ended: `stopped` by a signal or a window after a checkpoint, `failed` by any error."""


@dataclass(frozen=True, kw_only=True)
class SinkContext:
    """The run that a sink is opened for.

    Attributes:
        name: the run's name.
        folder: the run directory.
        config: the run's settings as plain values, by key.
        first: steps done before this process; the next line is of the step after it.
        last: steps of the whole run.
    """

    name: str = ""
    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    first: int = 0
    last: int

    @property
    def resumed(self) -> bool:
        """Whether an earlier process trained the first steps.

        Example:
            >>> SinkContext(folder=Path("run"), first=20, last=150).resumed
            True
        """
        return self.first > 0


class Sink(Protocol):
    """Takes metrics, a step at a time."""

    def write(self, metrics: StepMetrics) -> None:
        """Takes one step, with its validation loss if it validated.

        Steps arrive in order; after a restore, steps may repeat.
        """
        ...

    def close(self, status: Status, /) -> None:
        """Ends the record; nothing follows."""
        ...


class MakeSink(Protocol):
    """Opens a sink for one training; the class of a sink is one."""

    def __call__(self, run: SinkContext, /) -> Sink: ...


@runtime_checkable
class Durable(Protocol):
    """A sink whose record a checkpoint counts on."""

    def sync(self) -> None:
        """Waits until what was written is on the disk."""
        ...

    def rewind(self, step: int, /) -> None:
        """Forgets the steps after this one, which will come again."""
        ...


def durable(sinks: Sequence[Sink]) -> list[Durable]:
    """Those of the sinks that keep a record."""
    return [sink for sink in sinks if isinstance(sink, Durable)]


@dataclass(frozen=True)
class Sinks:
    """The sinks of a run, not opened yet.

    Attributes:
        make: opens each sink.
        name: the run's name, for the sinks' context.
        config: the run's settings as plain values, for the sinks' context.
    """

    make: tuple[MakeSink, ...] = ()
    name: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def opened(self, folder: Path, *, first: int, last: int) -> Iterator[list[Sink]]:
        """Opens the sinks for a block that trains; closes each of them with how the block ended.

        Args:
            folder: the run directory.
            first: steps done before.
            last: steps of the whole run.
        """
        run = SinkContext(name=self.name, folder=folder, config=self.config, first=first, last=last)
        with ExitStack() as closing:
            status: Status = "failed"
            sinks = []
            for make in self.make:
                sinks.append(sink := make(run))
                closing.callback(lambda sink=sink: sink.close(status))
            try:
                yield sinks
                status = "finished"
            except Pruned:
                status = "pruned"
                raise
            except (Interrupted, KeyboardInterrupt):
                status = "stopped"
                raise
