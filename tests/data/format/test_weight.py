"""Weights of rows and messages: in what is trained on, and refused where float32 cannot hold them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tasks.data import tokenize_row
from tasks.data.format.formats import parse_row
from tasks.data.format.weight import read_spans, read_weight, row_weight
from tasks.errors import DataError

CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0.5}]}


@pytest.mark.parametrize("row", [CHAT, {"text": "ab"}, {"prompt": "a", "completion": "b"}])
def test_a_rows_weight_multiplies_all_its_weights(row: dict, tokenizer_of: Callable):
    whole = tokenize_row(row, tokenizer_of("chatml"))
    half = tokenize_row({**row, "weight": 0.5}, tokenizer_of("chatml"))
    assert half.weights == [weight / 2 for weight in whole.weights]
    assert half.ids == whole.ids
    with pytest.raises(DataError, match="no token of the row is supervised"):
        tokenize_row({**row, "weight": 0}, tokenizer_of("chatml"))


@pytest.mark.parametrize("weight", [-1, "1", True, [], 1e-9, 1e9, 10**400, -(10**400)])
def test_refused(weight: Any):
    for read in (row_weight, lambda row: read_weight(row, "messages[0]")):
        with pytest.raises(DataError, match="'weight' is"):
            read({"weight": weight})


def test_a_column_of_that_name_that_is_no_weight():
    row = {"text": "a mouse", "weight": "20 g", "w": 0.5}
    with pytest.raises(DataError, match="'20 g'"):
        parse_row(row)
    assert parse_row(row, columns={"weight": "w"}).weight == 0.5
    assert parse_row(row, columns={"weight": "none"}).weight == 1.0


def test_null_is_none():
    assert row_weight(json.loads('{"weight": null}')) == 1.0


@pytest.mark.parametrize(
    ("asked", "weight"),
    [
        ({"training": False}, 0.0),
        ({"masked": True}, 0.0),
        ({"masked": False}, 1.0),
        ({"loss": 0}, 0.0),
        ({"loss": True, "weight": 0.5}, 0.5),
        ({"train_on_turn": True}, 1.0),
        ({"training": None}, None),
    ],
)
def test_the_flags_of_other_tools(asked: dict, weight: float | None):
    assert read_weight(asked, "messages[1]") == weight


@pytest.mark.parametrize("asked", [{"loss": 0.5}, {"training": "no"}, {"train": 1}, {"train": True, "masked": True}])
def test_flags_that_say_nothing_plain(asked: dict):
    with pytest.raises(DataError, match=r"messages\[1\]: .*data\.ignore=\["):
        read_weight(asked, "messages[1]")


@pytest.mark.parametrize("spans", [3, [], [[1]], [[2, 1]], [[0, 4]], [[0, True]], [["0", 1]], [[0, 1, -1]]])
def test_spans_that_are_none(spans: Any):
    with pytest.raises(DataError, match="text: "):
        read_spans(spans, 3, "text")
