from pathlib import Path

import pytest

from tasks.errors import Interrupted, Paused, Pruned
from tasks.sink import Counters, SinkContext, Sinks, Status
from tests.sink.test_metrics import step


class Recorded:
    """A sink that records what reaches it."""

    def __init__(self, run: SinkContext):
        self.run, self.steps, self.status = run, list[int](), None

    def write(self, metrics) -> None:
        self.steps.append(metrics.step)

    def close(self, status: Status) -> None:
        self.status = status


SINKS = Sinks((Recorded, Recorded), "mine", {"lora": {"rank": 4}})


@pytest.mark.parametrize(("first", "resumed"), [(0, False), (2, True)])
def test_a_sink_knows_its_run(first: int, resumed: bool, tmp_path: Path) -> None:
    with SINKS.opened(tmp_path, first=first, last=9) as opened:
        for sink in opened:
            sink.write(step(Counters(), 3))
    for sink in opened:
        assert isinstance(sink, Recorded)
        assert sink.run == SinkContext(name="mine", folder=tmp_path, config={"lora": {"rank": 4}}, first=first, last=9)
        assert (sink.run.resumed, sink.steps, sink.status) == (resumed, [3], "finished")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Interrupted("stopped after step 3", 15), "stopped"),
        (Paused("the window has closed"), "stopped"),
        (KeyboardInterrupt(), "stopped"),
        (Pruned("step 2 of 4"), "pruned"),
        (OSError("the disk is gone"), "failed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_sink_is_closed_with_how_the_training_ended(error, status: Status, tmp_path: Path) -> None:
    def train() -> None:
        with SINKS.opened(tmp_path, first=0, last=9) as opened:
            kept.extend(sink for sink in opened if isinstance(sink, Recorded))
            raise error

    kept: list[Recorded] = []
    with pytest.raises(type(error)):
        train()
    assert [sink.status for sink in kept] == [status, status]


def test_a_sink_that_cannot_be_opened_or_closed_leaves_none_open(tmp_path: Path) -> None:
    kept: list[Recorded] = []

    def keep(run: SinkContext) -> Recorded:
        kept.append(Recorded(run))
        return kept[-1]

    class Stubborn(Recorded):
        def close(self, status: Status) -> None:
            raise OSError("cannot be closed")

    def refuse(run: SinkContext) -> Recorded:
        raise OSError("cannot be opened")

    with pytest.raises(OSError, match="cannot be opened"), Sinks((keep, refuse)).opened(tmp_path, first=0, last=9):
        pass
    with pytest.raises(OSError, match="cannot be closed"), Sinks((keep, Stubborn)).opened(tmp_path, first=0, last=9):
        pass
    assert [sink.status for sink in kept] == ["failed", "finished"]
