"""Rows of Alpaca."""

import pytest

from tasks.data.format.alpaca import parse
from tasks.errors import DataError


def test_response_system_and_history():
    row = {"instruction": "c", "response": "d", "system": "S", "history": [["a", "b"]]}
    assert [m.content for m in parse(row).messages] == ["S", "a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"instruction": "a", "output": None}, "'output' is missing or null"),
        ({"instruction": "a", "output": "b", "input": 3}, "'input' is a number"),
        ({"instruction": "a", "output": "b", "history": 3}, "'history' is a number"),
        ({"instruction": "a", "output": "b", "history": [["x"]]}, r"history\[0\]"),
    ],
)
def test_refused(row: dict, reason: str):
    with pytest.raises(DataError, match=reason):
        parse(row)
