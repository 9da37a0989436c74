"""Rows of ShareGPT, held to the bank's own conversions of two files into messages."""

import json
from pathlib import Path

import pytest

from tasks.data.format import chat, sharegpt
from tasks.errors import DataError


@pytest.mark.parametrize(
    ("source", "converted"),
    [
        ("sharegpt_vicuna_dummy/dummy_conversation.json", "sharegpt_vicuna_dummy/messages_converted.jsonl"),
        (
            "glaive_toolcall_sharegpt/glaive_toolcall_en_demo.json",
            "glaive_toolcall_sharegpt/messages_openai_converted.jsonl",
        ),
    ],
)
def test_the_same_messages_as_the_conversion(shared_data: Path, source: str, converted: str):
    rows = json.loads((shared_data / "datasets" / source).read_text("utf-8"))
    lines = (shared_data / "datasets" / converted).read_text("utf-8").strip("\n").split("\n")
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        assert sharegpt.parse(row).messages == chat.parse(json.loads(line)).messages


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "empty"),
        ([{"from": "alien", "value": "a"}], "from is 'alien'"),
        ([{"from": [], "value": "a"}], "from is"),
        ([{"from": "human"}], "no 'value' string"),
        ([{"from": "human", "value": "a"}], "no message is 'assistant'"),
        ([{"from": "function_call", "value": "{"}], "not JSON"),
        ([{"from": "function_call", "value": "{}"}], "'name'"),
    ],
)
def test_refused(turns: list, reason: str):
    with pytest.raises(DataError, match=reason):
        sharegpt.parse({"conversations": turns})


def test_a_system_beside_and_inside():
    turns = [{"from": "system", "value": "S"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    assert [m.role for m in sharegpt.parse({"conversations": turns, "system": "S"}).messages] == [
        "system",
        "user",
        "assistant",
    ]
    with pytest.raises(DataError, match=r"which is meant\? data\.ignore=\[system\]"):
        sharegpt.parse({"conversations": turns, "system": "T"})
