"""Markdown: foreign text stays inside its cell and is shown as it is."""

import pytest
from markdown_it import MarkdownIt

from pipelines.report.markdown import block, code, table


def test_no_cell_adds_a_column_or_a_row() -> None:
    shown = table(("a", "b|c"), [("1|2\n3", ""), ("x\r\ny", "z")]).splitlines()
    assert len(shown) == 4
    assert [line.replace("\\|", "").count("|") for line in shown] == [3, 3, 3, 3]
    assert shown[2] == "| 1\\|2 3 |  |"


@pytest.mark.parametrize(("text", "fence"), [("a", "`"), ("a`b", "``"), ("``a`", "```")])
def test_code_has_a_fence_that_its_text_does_not_close(text: str, fence: str) -> None:
    assert code(text) == f"{fence} {text} {fence}"


HOSTILE = [
    "``<script>alert(1)</script>",
    "`` <img src=x onerror=alert(1)> ``",
    "a`b``![p](http://h/t.png)``c",
    "x\r\r# heading",
    "x\r\n\r\n# heading",
    "x\u2028\u2028# heading",
    "a|b\\|c",
    "\x1b[2J```\n# heading",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_holds_no_html_image_link_or_heading(text: str) -> None:
    html = (
        MarkdownIt("commonmark")
        .enable("table")
        .render(table(("a", "b"), [(code(text), "x")]) + "\n" + code(text) + "\n\n" + block(text))
    )
    assert html.count("<tr>") == 2
    assert html.count("<code>") == 3
    assert not [tag for tag in ("<script", "<img", "<a ", "<h1") if tag in html]
    assert all(char.isprintable() or char == "\n" for char in html)
