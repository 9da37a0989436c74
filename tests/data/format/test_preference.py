"""Preference rows are parsed, and refused by what cannot use them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.data import tokenize_row
from tasks.data.format.preference import parse
from tasks.errors import DataError


def test_whole_conversations_share_their_prompt():
    ask = {"role": "user", "content": "a"}
    row = {key: [ask, {"role": "assistant", "content": key}] for key in ("chosen", "rejected")}
    example = parse(row)
    assert [m.content for m in example.messages] == ["a", "chosen"]
    assert [m.content for m in example.rejected] == ["rejected"]
    with pytest.raises(DataError, match="differ"):
        parse({**row, "rejected": row["chosen"]})


def test_the_bank_of_pairs(shared_data: Path):
    rows = json.loads((shared_data / "datasets/dpo_pairs_sharegpt/dpo_en_demo.json").read_text("utf-8"))
    assert all(parse(row).rejected for row in rows)


def test_a_supervised_loss_refuses_them(tokenizer_of: Callable):
    with pytest.raises(DataError, match="compares two answers"):
        tokenize_row({"prompt": "a", "chosen": "b", "rejected": "c"}, tokenizer_of("chatml"))
