import io
import re
from pathlib import Path

import pytest
from rich.console import Console as RichConsole

from tasks.sink import SINKS, Console, Counters, SinkContext
from tasks.sink.console import facts
from tests.sink.test_metrics import step


def context(first: int, last: int) -> SinkContext:
    return SinkContext(folder=Path("nowhere"), first=first, last=last)


def run(total: int, *, terminal: bool = False, start: int = 0, valid_loss: float | None = None) -> str:
    text, counters = io.StringIO(), Counters()
    sink = Console(context(start, total), RichConsole(file=text, force_terminal=terminal, width=200))
    for number in range(start + 1, total + 1):
        metrics = step(counters, number)
        sink.write(metrics if valid_loss is None else counters.validated(metrics, valid_loss))
    sink.close("finished")
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue()) if terminal else text.getvalue()


def test_it_is_in_the_table_under_its_name():
    assert SINKS["console"] is Console


def test_off_a_terminal_the_first_and_the_last_step_are_told():
    lines = run(50).splitlines()
    assert [line.split()[1] for line in lines] == ["1/50", "50/50"]
    assert lines[-1].endswith("0 s left")
    assert "\x1b" not in "".join(lines)


def test_a_validation_is_always_told():
    lines = run(4, valid_loss=1.25).splitlines()
    assert [line.split()[1] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]
    assert all("valid_loss 1.2500" in line for line in lines)


def test_on_a_terminal_there_is_a_bar_and_validations_above_it():
    text = run(4, terminal=True, valid_loss=1.25)
    assert "4/4" in text
    assert "step 2: valid_loss 1.2500" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_to_do_is_no_error(terminal):
    assert "error" not in run(5, terminal=terminal, start=5).lower()


def test_the_facts_count_the_cache_as_memory():
    memory = {"active_bytes": 3 * 10**9, "cache_bytes": 10**9, "peak_bytes": 35 * 10**8}
    text = facts(step(Counters(), 1, loss=1.5, tokens=12_000, seconds=1.0, memory=memory))
    assert text == "loss 1.5000  12,000 tokens/s  memory 4.00 GB, peak 3.50 GB"


def test_it_speaks_on_standard_error(capsys):
    sink = Console(context(0, 1))
    sink.write(step(Counters(), 1))
    sink.close("finished")
    out, err = capsys.readouterr()
    assert (out, "step 1/1" in err) == ("", True)
