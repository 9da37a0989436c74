"""The table of formats: detection, other column names, and the room's own files."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.config import Format
from tasks.data.format import formats
from tasks.data.format.formats import FORMATS, detect, parse_row
from tasks.errors import DataError


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ("messages tools", "chat"),
        ("text", "text"),
        ("prompt completion", "completions"),
        ("question answer", "completions"),
        ("instruction input output", "alpaca"),
        ("instruction input response text", "alpaca"),
        ("conversations", "sharegpt"),
        ("prompt chosen rejected", "preference"),
        ("conversations chosen rejected", "preference"),
    ],
)
def test_detected(columns: str, name: str):
    assert detect(dict.fromkeys(columns.split(), "x")) == name


def test_the_table_the_setting_and_the_files_agree():
    folder = Path(formats.__file__).parent
    assert set(get_args(Format)) == {"auto", *FORMATS}
    assert all((folder / f"{name}.py").is_file() for name in FORMATS)


def test_other_columns():
    assert parse_row({"a": "x", "b": "y"}, columns={"prompt": "a", "completion": "b"}).messages[1].content == "y"


def test_a_column_of_our_name_does_not_shadow_the_one_meant():
    row = {"text": "page", "prompt": "old", "q": "new", "completion": "y"}
    assert parse_row(row, columns={"prompt": "q"}).messages[0].content == "new"


@pytest.mark.parametrize(("row", "reason"), [({}, "no known format"), ([1], "a list"), ("x", "a string")])
def test_refused(row: object, reason: str):
    with pytest.raises(DataError, match=reason):
        parse_row(row)


def test_a_named_format_holds_every_row_to_it():
    with pytest.raises(DataError, match="'messages' is missing"):
        parse_row({"text": "a"}, "chat")


_KEYS = ["messages", "prompt", "completion", "text", "instruction", "output", "conversations", "chosen", "rejected"]
_KEYS += ["role", "content", "from", "value", "tool_calls", "function", "name", "arguments", "tools", "system"]
_KEYS += ["history", "weight", "train", "reasoning_content", "question", "answer", "input", "type"]
_LEAVES = st.sampled_from(
    [None, True, 0, 1.5, "", "a", "user", "assistant", "tool", "human", "gpt", "function_call", "{}"]
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4)
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=5))
def test_any_row_is_parsed_or_refused(row: dict):
    try:
        example = parse_row(row)
    except DataError:
        return
    assert example.text is not None or example.messages
