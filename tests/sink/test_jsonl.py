from hypothesis import given
from hypothesis import strategies as st

from tasks.sink import SINKS, Counters, Jsonl
from tasks.sink.jsonl import read_metrics
from tests.sink.test_metrics import step


def write(path, start: int, stop: int) -> None:
    sink, counters = Jsonl(path, start=start, total=100), Counters()
    for number in range(start + 1, stop + 1):
        sink.write(step(counters, number))
    sink.close()


def steps(path) -> list[int]:
    return [line["step"] for line in read_metrics(path)]


def test_it_is_in_the_table_under_its_name():
    assert SINKS["jsonl"] is Jsonl


def test_a_line_a_step_at_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    sink, metrics = Jsonl(path, start=0, total=2), step(Counters(), 1)
    sink.write(metrics)
    assert read_metrics(path) == [metrics.line()]  # though it is not closed
    sink.close()


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
    write(tmp_path / "m.jsonl", 0, 5)
    write(tmp_path / "m.jsonl", 0, 2)
    assert steps(tmp_path / "m.jsonl") == [1, 2]


def test_no_file_has_no_lines(tmp_path):
    assert read_metrics(tmp_path / "absent.jsonl") == []
