"""What is said while a large source is tokenized."""

import io

import pytest
from rich.console import Console

from tasks.data.store import progress
from tasks.data.store.progress import Tokenizing


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    monkeypatch.setattr(progress, "_EVERY", -1.0)


def said(console: Console, total: int | None) -> str:
    with Tokenizing(total, console) as shown:
        shown.advance(rows=1200, size=1_000_000)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_plain_lines_off_a_terminal():
    text = said(Console(file=io.StringIO()), 4_000_000)
    assert text.startswith("tokenizing: 1,200 rows, 1 of 4 MB, ")
    assert "\x1b" not in text
    assert " MB" not in said(Console(file=io.StringIO()), None)


def test_a_bar_on_a_terminal():
    assert "1,200 rows" in said(Console(file=io.StringIO(), force_terminal=True, width=100), 4_000_000)


def test_nothing_where_it_takes_but_a_moment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "_PATIENCE", 60.0)
    monkeypatch.setattr(progress, "_EVERY", 60.0)
    assert said(Console(file=io.StringIO(), force_terminal=True), 10) == ""
    assert said(Console(file=io.StringIO()), 10) == ""
