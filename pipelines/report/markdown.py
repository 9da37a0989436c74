"""Writes tables and foreign text in Markdown so that no cell can break out of its place."""

import re
from collections.abc import Iterable, Sequence

from pipelines.report.terminal_text import harmless


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, a line each; a cell may be Markdown, its pipes are escaped and its line ends become spaces.

    Example:
        >>> print(table(["key", "value"], [["a|b", "**1**"]]), end="")
        | key | value |
        |---|---|
        | a\\|b | **1** |
    """
    lines = [_row(head), f"|{'---|' * len(head)}", *map(_row, rows)]
    return "".join(f"{line}\n" for line in lines)


def code(text: str) -> str:
    """Foreign text as inline code on one line: what it says is shown, never read as Markdown or HTML.

    The fence is longer than any run of backticks inside.

    Example:
        >>> code("a `b`\\n<i>")
        '`` a `b` ⏎ <i> ``'
        >>> code(" ")
        '(empty)'
    """
    shown = harmless(text.strip()).replace("\n", " ⏎ ").replace("\t", " ")
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence} {shown} {fence}" if shown else "(empty)"


def prose(text: str) -> str:
    """Foreign text among our own words, on one line: no character of it begins markup.

    Example:
        >>> prose("a [b](c) <i> at step 3, 50.0%")
        'a \\\\[b\\\\](c) \\\\<i> at step 3, 50.0%'
    """
    return re.sub(r"([\\`*_\[\]<!&~#])", r"\\\1", " ".join(harmless(text).split()))


def cell(text: str) -> str:
    """Foreign text for a table artifact, which shows text as it is but for links in Markdown, and HTML.

    Example:
        >>> cell("a ![b](http://c)\\n<i>")
        'a ![b] (http://c) ‹i>'
    """
    return " ".join(harmless(text).split()).replace("](", "] (").replace("<", "‹")


def block(text: str) -> str:
    """Foreign text as a block of code, its lines as they are.

    Example:
        >>> block("a\\n```\\nb")
        '````\\na\\n```\\nb\\n````\\n'
    """
    shown = harmless(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence}\n{shown}\n{fence}\n"


def _row(cells: Sequence[str]) -> str:
    escaped = (" ".join(cell.splitlines()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
