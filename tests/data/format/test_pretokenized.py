"""Rows of ids and labels: read as they are, or refused."""

from typing import Any

import pytest

from tasks.data import tokenize_row
from tasks.data.format.message import SPEAKERS
from tasks.data.format.pretokenized import parse
from tasks.data.format.row import Row
from tasks.errors import DataError


def test_ids_and_labels_are_the_tokens_and_what_of_them_is_trained(tokenizer_of):
    row = {"input_ids": [5, 6, 7, 8, 9], "labels": [-100, -100, 7, -100, 9], "weight": 0.5}
    tokens = tokenize_row(row, tokenizer_of("chatml"))
    assert (tokens.ids, tokens.weights) == ([5, 6, 7, 8, 9], [0.0, 0.0, 0.5, 0.0, 0.5])
    assert tokens.prompt_length == 4
    assert [SPEAKERS[code] for code in tokens.speakers] == ["text", "text", "assistant", "text", "assistant"]


def test_without_labels_all_but_the_first_are_targets(tokenizer_of):
    tokens = tokenize_row({"input_ids": [5, 6, 7]}, tokenizer_of("chatml"))
    assert (tokens.weights, tokens.prompt_length) == ([0.0, 1.0, 1.0], 0)


def test_the_masks_of_other_tools_are_read():
    assert parse({"input_ids": [5, 6, 7], "completion_mask": [0, 1, 1]}).id_weights == (0.0, 1.0, 1.0)
    with pytest.raises(DataError, match="'loss_mask' has 2 entries for 3 ids"):
        parse({"input_ids": [5, 6, 7], "loss_mask": [0, 1]})


def test_spans_are_counted_in_tokens_and_padding_is_left_out():
    row = {"input_ids": [0, 5, 6, 7, 0], "spans": [[2, 4, 0.5]], "attention_mask": [0, 1, 1, 1, 0]}
    example = parse(row)
    assert (example.ids, example.id_weights) == ((5, 6, 7), (0.0, 0.5, 0.5))


def test_masks_of_true_and_false_are_read_as_those_of_1_and_0():
    row = {"input_ids": [5, 6, 7], "attention_mask": [True, True, False], "loss_mask": [False, True, True]}
    assert (parse(row).ids, parse(row).id_weights) == ((5, 6), (0.0, 1.0))


def test_the_labels_of_padding_may_be_anything():
    row = {"input_ids": [5, 6, 7, 0], "labels": [-100, 6, 7, 9], "attention_mask": [1, 1, 1, 0]}
    assert (parse(row).ids, parse(row).id_weights) == ((5, 6, 7), (0.0, 1.0, 1.0))


def test_positions_that_count_one_example_are_read():
    row = Row({"input_ids": [5, 6, 7], "position_ids": [0, 1, 2], "seq_lengths": [3]})
    assert parse(row).ids == (5, 6, 7)
    assert set(row) <= row.asked


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"input_ids": []}, "no ids"),
        ({"input_ids": [5, -1]}, "the id -1"),
        ({"input_ids": "5 6"}, "a string"),
        ({"input_ids": [5, 6.0]}, "no whole number"),
        ({"input_ids": [5, 6], "labels": [5]}, "1 entries and 'input_ids' 2"),
        ({"input_ids": [5, 6, 7], "labels": [-100, 6, 8]}, r"labels\[2\] is 8; it must be -100 or input_ids\[2\], 7$"),
        ({"input_ids": [5, 6, 7], "labels": [6, 7, -100]}, "shifted by one.*not before it"),
        ({"input_ids": [5, 6, 7], "labels": [-100, 5, 6]}, "shifted by one.*not behind it"),
        ({"input_ids": [5, 6, 7], "labels": [-1, 6, 7]}, "is written -100"),
        ({"input_ids": [5, 6, 7], "position_ids": [0, 1, 0]}, r"2 examples that were packed.*'position_ids'"),
        ({"input_ids": [5, 6, 7], "seq_lengths": [1, 1, 1]}, r"3 examples that were packed.*'seq_lengths'"),
        ({"input_ids": [5, 6, 7], "attention_mask": [1, 0, 1]}, "attention_mask"),
        ({"input_ids": [5, 6], "attention_mask": [0, 0]}, "attention_mask"),
        ({"input_ids": [5, 6], "labels": [5, 6], "spans": [[0, 1]]}, "which is meant"),
    ],
)
def test_refused(row: dict[str, Any], reason: str):
    with pytest.raises(DataError, match=reason):
        parse(row)
