"""Rows of prompt and completion."""

import pytest

from tasks.data.format.completions import parse
from tasks.errors import DataError


def test_system_and_messages_on_both_sides():
    row = {"system": "S", "prompt": [{"role": "user", "content": "a"}], "completion": "b"}
    example = parse(row)
    assert [(m.role, m.content) for m in example.messages] == [("system", "S"), ("user", "a"), ("assistant", "b")]
    assert example.answer_from == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "a", "completion": None}, "'completion' is missing or null"),
        ({"prompt": 3, "completion": "b"}, "'prompt' is a number"),
        ({"prompt": "a", "completion": [{"role": "user", "content": "b"}]}, "not the assistant's"),
        ({"prompt": "a", "completion": "b", "system": 1}, "'system'"),
    ],
)
def test_refused(row: dict, reason: str):
    with pytest.raises(DataError, match=reason):
        parse(row)
