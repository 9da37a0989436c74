"""The table of formats: detection, other column names, and the room's own files."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.format import formats
from tasks.data.format.formats import FORMATS, LABELS, Format, detect, parse_row
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
        ("input_ids labels text", "pretokenized"),
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


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"messages": None, "prompt": "a", "completion": "b", "text": None}, "completions"),
        ({"prompt": "", "completion": "", "text": "a"}, "text"),
        ({"chosen": "", "rejected": "", "instruction": "a", "output": "b"}, "alpaca"),
        ({"messages": [], "prompt": "a", "completion": ""}, "completions"),
        ({"messages": None}, "chat"),
    ],
)
def test_a_column_that_says_nothing_does_not_choose_the_format(row: dict, name: str):
    assert detect(row) == name


def test_what_is_in_the_other_pair_of_columns_is_read():
    row = {"prompt": "", "completion": "", "question": "a", "answer": "b"}
    assert [m.content for m in parse_row(row).messages] == ["a", "b"]
    row = {"instruction": "a", "output": None, "response": "b"}
    assert [m.content for m in parse_row(row).messages] == ["a", "b"]


def unread(row: dict, **settings: Any) -> dict[str, str]:
    return {one.name: one.kind for one in parse_row(row, **settings).unread}


def test_every_column_that_nothing_reads_is_named():
    row = {"prompt": "a", "completion": "b", "question": "why is it so, then?", "score": 3, "id": "x", "note": None}
    assert unread(row) == {"question": "other", "score": "number", "id": "other"}
    assert unread({**row, "question": "why is it so, my old friend?"})["question"] == "text"
    assert unread({"text": "a b", "good": False, "meta": {"note": "one two three four five"}}) == {
        "good": "flag",
        "meta": "other",
    }


def test_a_column_under_another_name_is_read_and_the_one_it_shadows_is_not():
    row = {"prompt": "an old question that is long", "q": "new", "completion": "y", "weight": 80}
    assert unread(row, columns={"prompt": "q", "weight": "w"}) == {"prompt": "text", "weight": "number"}
    assert unread({"prompt": "a", "completion": "b"}, columns={"prompt": "q"}) == {}


def test_a_text_that_repeats_what_is_read_adds_nothing():
    row = {"instruction": "Name a bird that sings.", "output": "A wren."}
    assert unread({**row, "text": "Below is a task.\nName a bird that sings.\nA wren."}) == {"text": "other"}
    messages = [{"role": "user", "content": "Name a bird that sings."}, {"role": "assistant", "content": "A wren."}]
    assert unread({"messages": messages, "prompt": "Name a bird that sings."}) == {"prompt": "other"}


def test_what_is_to_be_ignored_is_not_read_and_still_counted():
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "training": False}]
    row = {"messages": messages, "system": "Be brief."}
    example = parse_row(row, ignore=["training", "system"])
    assert [(m.role, m.weight) for m in example.messages] == [("user", None), ("assistant", None)]
    assert {one.name for one in example.unread} == {"messages[].training", "system"}


@pytest.mark.parametrize("label", [False, "False", "false", 0, 0.0, "0", -1, "bad", "Rejected", "undesirable"])
@pytest.mark.parametrize("name", LABELS)
def test_an_answer_not_to_give_is_never_trained_on(name: str, label: object):
    row = {"prompt": "a", "completion": "b", name: label}
    with pytest.raises(DataError, match=rf"an answer not to give.*data\.ignore=\[{name}\]"):
        parse_row(row)
    assert parse_row(row, ignore=[name]).messages[1].content == "b"


@pytest.mark.parametrize("label", [True, 1, "1", "yes", "chosen"])
def test_an_answer_to_give_is_trained_on_and_its_label_is_read(label: object):
    assert unread({"prompt": "a", "completion": "b", "label": label}) == {}


def test_a_label_that_judges_no_answer_is_named():
    assert unread({"text": "a film", "label": False}) == {"label": "flag"}
    assert unread({"text": "a film", "label": 0}) == {"label": "other"}
    row = {"prompt": "Is this spam?", "completion": "No", "label": "no"}  # a class, which is the answer
    assert unread(row) == {"label": "other"}
    assert unread({**row, "label": "ham"}) == {"label": "other"}


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
