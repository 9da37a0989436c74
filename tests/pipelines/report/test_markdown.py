"""Markdown: foreign text stays inside its cell and is shown as it is."""

import pytest

from pipelines.report.markdown import code, table


def test_no_cell_adds_a_column_or_a_row() -> None:
    shown = table(("a", "b|c"), [("1|2\n3", ""), ("x\r\ny", "z")]).splitlines()
    assert len(shown) == 4
    assert [line.replace("\\|", "").count("|") for line in shown] == [3, 3, 3, 3]
    assert shown[2] == "| 1\\|2 3 |  |"


@pytest.mark.parametrize(("text", "fence"), [("a", "`"), ("a`b", "``"), ("``a`", "```")])
def test_code_has_a_fence_that_its_text_does_not_close(text: str, fence: str) -> None:
    assert code(text) == f"{fence} {text} {fence}"
