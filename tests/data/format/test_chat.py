"""Rows of chat messages."""

from typing import Any

import pytest

from tasks.data.format.chat import parse
from tasks.errors import DataError

USER, ANSWER = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}


def test_parts_are_joined_before_any_template_sees_them():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert parse({"messages": [{"role": "user", "content": parts}, ANSWER]}).messages[0].content == "ab"


def test_tool_calls_are_brought_into_one_form():
    call = {"id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call]}
    message = parse({"messages": [USER, answer]}).messages[1]
    assert message.tool_calls == ({"type": "function", "id": "1", "function": {"name": "f", "arguments": {"a": 1}}},)
    assert message.content == ""


@pytest.mark.parametrize(
    ("asked", "weight"), [({}, None), ({"train": False}, 0.0), ({"train": True}, 1.0), ({"weight": 0.25}, 0.25)]
)
def test_train_and_weight(asked: dict, weight: float | None):
    assert parse({"messages": [USER, {**ANSWER, **asked}]}).messages[1].weight == weight


def test_other_keys_reach_the_template():
    message = parse({"messages": [{**USER, "name": "bo"}, ANSWER]}).messages[0]
    assert message.as_template_input() == {"role": "user", "content": "hi", "name": "bo"}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (None, "missing or null"),
        ([], "empty list"),
        ({}, "must be a non-empty list"),
        ([USER], "no message is 'assistant'"),
        ([{"role": "human", "content": "a"}, ANSWER], "conversations"),
        ([{"content": "a"}, ANSWER], r"messages\[0\]: the role is missing"),
        ([{"role": ["user"], "content": "a"}, ANSWER], "the role is"),
        ([USER, {"role": "assistant", "content": None}], "missing or null"),
        ([USER, {"role": "assistant"}], "missing or null"),
        ([USER, {"role": "assistant", "content": 3}], "a number"),
        ([USER, {"role": "assistant", "content": [{"type": "image_url"}]}], "image_url"),
        ([USER, {**ANSWER, "train": 1}], "'train' is 1"),
        ([USER, {**ANSWER, "weight": -1}], "not negative"),
        ([USER, {**ANSWER, "weight": True}], "a number"),
        ([USER, {**ANSWER, "tool_calls": [{"function": {}}]}], "no function name"),
        ([USER, {**ANSWER, "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}], "not JSON"),
        ([{**USER, "tool_calls": [{"function": {"name": "f"}}]}, ANSWER], "only an 'assistant'"),
        (["hi", ANSWER], r"messages\[0\]"),
    ],
)
def test_refused(messages: Any, reason: str):
    with pytest.raises(DataError, match=reason):
        parse({"messages": messages})


def test_a_system_beside_the_conversation():
    assert parse({"system": "S", "messages": [USER, ANSWER]}).messages[0].content == "S"
    with pytest.raises(DataError, match="which is meant"):
        parse({"system": "S", "messages": [{"role": "system", "content": "T"}, USER, ANSWER]})


def test_tools_as_a_string():
    assert parse({"messages": [USER, ANSWER], "tools": '[{"type": "function"}]'}).tools == ({"type": "function"},)
    with pytest.raises(DataError, match="not JSON"):
        parse({"messages": [USER, ANSWER], "tools": "[x"})
