import logging

from hypothesis import given
from hypothesis import strategies as st

from tasks.sink import SINKS, Counters, Durable, Jsonl, SinkContext
from tasks.sink.jsonl import read_metrics
from tests.sink.test_metrics import step


def write(path, start: int, stop: int) -> None:
    sink, counters = Jsonl(SinkContext(folder=path.parent, first=start, last=100)), Counters()
    for number in range(start + 1, stop + 1):
        sink.write(step(counters, number))
    sink.close("finished")


def steps(path) -> list[int]:
    return [line["step"] for line in read_metrics(path)]


def test_it_is_in_the_table_under_its_name():
    assert SINKS["jsonl"] is Jsonl


def test_a_line_a_step_at_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    sink, metrics = Jsonl(SinkContext(folder=tmp_path, last=2)), step(Counters(), 1)
    sink.write(metrics)
    assert read_metrics(path) == [metrics.line()]  # though it is not closed
    sink.close("finished")


@given(reached=st.integers(0, 8), back=st.integers(0, 8), torn=st.booleans())
def test_each_step_stands_there_once_after_a_resume(tmp_path_factory, reached, back, torn):
    path, resumed = tmp_path_factory.mktemp("run") / "metrics.jsonl", max(0, reached - back)
    write(path, 0, reached)
    if torn:
        with path.open("a") as file:
            file.write('{"step": 9, "lo')
    write(path, resumed, 10)
    assert steps(path) == list(range(1, 11))
    assert path.read_text().endswith("\n")


def test_a_fresh_start_drops_what_stood_there(tmp_path):
    write(tmp_path / "metrics.jsonl", 0, 5)
    write(tmp_path / "metrics.jsonl", 0, 2)
    assert steps(tmp_path / "metrics.jsonl") == [1, 2]


def test_no_file_has_no_lines(tmp_path):
    assert read_metrics(tmp_path / "absent.jsonl") == []


def test_what_is_torn_in_the_middle_is_dropped_and_said(tmp_path, caplog):
    path = tmp_path / "metrics.jsonl"
    caplog.set_level(logging.WARNING, "tasks")  # a command that ran before may have turned it down
    write(path, 0, 4)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"\x00" * 20, b"\xff", lines[2], lines[0], b"[1]", *lines[3:]]))
    assert steps(path) == [1, 3, 1, 4]
    write(path, 4, 5)
    assert steps(path) == [1, 3, 4, 5]
    assert "lacks 1 of the 4 steps done so far" in caplog.text


def test_going_back_forgets_the_steps_that_come_again(tmp_path):
    sink, counters = Jsonl(SinkContext(folder=tmp_path, last=9)), Counters()
    for number in (1, 2, 3, 4):
        sink.write(step(counters, number))
    sink.rewind(2)
    assert steps(tmp_path / "metrics.jsonl") == [1, 2]
    sink.write(step(counters, 3, loss=0.5))
    sink.close("finished")
    assert [line["loss"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [2.0, 1.0, 0.5]


def test_it_can_be_put_on_the_disk(tmp_path):
    sink = Jsonl(SinkContext(folder=tmp_path, last=1))
    assert isinstance(sink, Durable)
    sink.write(step(Counters(), 1))
    sink.sync()
    sink.close("finished")
    assert steps(tmp_path / "metrics.jsonl") == [1]
