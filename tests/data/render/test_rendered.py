"""What a rendered row says lies inside its text, whatever the template."""

from collections.abc import Callable

import pytest

from tests.data.families import ANSWER, ASK, TEMPLATES


@pytest.mark.parametrize("name", TEMPLATES)
def test_spans_and_speakers_lie_inside_the_text(rendered: Callable, name: str):
    row = rendered(TEMPLATES[name], [ASK, ANSWER, ASK, ANSWER])
    inside = [(start, stop) for start, stop, _ in (*row.spans, *row.speakers)]
    assert all(0 <= start < stop <= len(row.text) for start, stop in inside)
    assert row.text[: row.spans[-1][1]].endswith(row.end)
    assert (row.plain, row.ids) == (False, ())
