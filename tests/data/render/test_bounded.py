"""A template that loops or doubles is stopped; what goes on is left alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.data.render.bounded import TooMuch, bounded

ROOT = Path(__file__).resolve().parents[3]


def _loop() -> None:
    while True:
        pass


def _double() -> None:
    text = "x" * 1024
    while True:
        text += text


def test_a_loop_is_stopped_and_the_next_block_is_not() -> None:
    with pytest.raises(TooMuch), bounded(seconds=0.1):
        _loop()
    with bounded():
        total = sum(range(1000))
    assert total == 499500


def test_a_text_that_doubles_is_stopped() -> None:
    with pytest.raises(TooMuch), bounded(growth=64 << 20):
        _double()


def test_what_is_raised_inside_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), bounded():
        _ = 1 / 0


LOOPS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a doubling text": (
        "{% set n = namespace(s='xxxxxxxx') %}{% for a in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}"
    ),
}


@pytest.mark.parametrize("case", LOOPS)
def test_a_template_beyond_its_bounds_is_a_row_that_is_refused(case: str) -> None:
    """In a process of its own, whose memory is looked at."""
    code = f"""
import json, resource, sys
import tasks.data.render.bounded as bounds
bounds.bounded.__wrapped__.__defaults__ = (1.0, 256 << 20)
from tasks.data.render.template import Template
from tasks.errors import DataError
from tests.tiny import byte_tokenizer
try:
    Template(byte_tokenizer(), {LOOPS[case]!r}, {{}}).render([{{"role": "user", "content": "a"}}])
except DataError as error:
    print(json.dumps(str(error)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout).startswith("the chat template takes more than ")
