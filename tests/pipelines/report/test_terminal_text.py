"""Text of rows, answers, tensors and paths in a terminal: no markup, no escape, nothing invisible."""

import io
import logging

import pytest
from rich.console import Console
from rich.table import Table

from pipelines.report.terminal_text import HarmlessFormatter, harmless, plain

HOSTILE = [
    "[/INST]",
    "[b]x[/b]",
    "\x1b[2J",
    "\x1b]0;t\x07",
    "\x9b2J",
    "\u202egnp",
    "\r\rgone",
    "\x00",
    "\ud800",
    "\u2028",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_it_is_shown_and_does_nothing(text: str) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, color_system=None, width=60)
    table = Table("")
    table.add_row(plain(text))
    console.print(table)
    console.print(plain(text))
    seen = shown.getvalue()
    assert seen.isprintable() or all(char.isprintable() or char == "\n" for char in seen)
    assert seen.count("".join(char for char in text if char.isprintable() and char.isascii())) >= 2


@pytest.mark.parametrize("text", ["plain", "two\nlines\tand a tab", "naïve, 日本, \u00a0, 👩‍👧", "می‌خواهم"])
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_a_line_of_a_log_is_harmless_and_without_secrets() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", ("\x1b[2J a://u:pa55@h",), None)
    assert HarmlessFormatter("%(message)s").format(record) == "‹U+001B›[2J a://u:***@h"
