"""A value's kind in a message."""

import datetime
from typing import Any

import pytest

from tasks.data.format.json_kind import kind_of


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "missing or null"),
        (True, "a boolean"),
        (0, "a number"),
        (1.5, "a number"),
        ("", "an empty string"),
        ("a", "a string"),
        ([], "an empty list"),
        ([1], "a list"),
        ({}, "an empty object"),
        ({"a": 1}, "an object"),
        (datetime.date(2026, 1, 1), "a date"),  # of a Parquet file
    ],
)
def test_it_is_said_as_in_json(value: Any, said: str) -> None:
    assert kind_of(value) == said
