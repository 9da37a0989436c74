"""Inputs whose right value is known, read as they are meant."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.data import Data, TokenCache, build_cache
from tasks.data.render.tokens import Tokens
from tasks.errors import DataError
from tests.data.conftest import supervised_text


@pytest.fixture
def read(shared_cases: Path, tmp_path: Path, tokenizer_of: Callable) -> Callable[..., TokenCache]:
    def run(name: str, **settings: Any) -> TokenCache:
        if "template" in settings:
            settings["template"] = str(shared_cases / settings["template"])
        data = Data.model_validate_json(json.dumps({"train": str(shared_cases / name), "valid_share": 0, **settings}))
        return build_cache(data, tokenizer_of("chatml"), tokenizer_fingerprint="t", root=tmp_path)

    return run


@pytest.fixture
def learned(read: Callable, tokenizer_of: Callable) -> Callable[..., list[list[str]]]:
    """The supervised texts of each row."""

    def run(name: str, **settings: Any) -> list[list[str]]:
        rows = read(name, **settings).split("train")
        tokens = [Tokens(rows.ids(n).tolist(), rows.weights(n).tolist()) for n in range(len(rows))]
        return [supervised_text(one, tokenizer_of("chatml")) for one in tokens]

    return run


def test_a_context_that_nothing_reads(read: Callable, learned: Callable):
    with pytest.raises(DataError, match=r"'context' \(text, 8 of 8 rows\).*data\.columns=\{input: context\}"):
        read("unread_context.jsonl")
    counted = read("unread_context.jsonl", strict=False).splits["train"].unread
    assert {name: remark.count for name, remark in counted.items()} == {"context": 8, "category": 8}
    used = read("unread_context.jsonl", columns={"input": "context"}).splits["train"]
    assert list(used.unread) == ["category"]


def test_answers_not_to_give(read: Callable, learned: Callable):
    with pytest.raises(DataError, match=r"kto_label\.jsonl:5: the row's label is false"):
        read("kto_label.jsonl")
    assert len(learned("kto_label.jsonl", strict=False)) == 4
    assert len(learned("kto_label.jsonl", ignore=["label"])) == 8


def test_the_flags_of_other_tools(learned: Callable):
    assert learned("foreign_flags.jsonl") == [["four<|im_end|>"]] * 3


def test_null_columns(read: Callable):
    assert read("null_columns.jsonl").splits["train"].formats == {"chat": 1, "completions": 1, "text": 1}


def test_a_table_reads_as_the_lines_do(learned: Callable, read: Callable):
    lines = learned("tool_calls.jsonl", template="calls.jinja")
    assert learned("tool_calls.parquet", template="calls.jinja") == lines
    assert lines[1][0] == '[call]sum_up {"left": 2, "right": 3}<|im_end|>'
    ids = [read(f"tool_calls.{kind}", template="calls.jinja").split("train").ids(0) for kind in ("jsonl", "parquet")]
    assert ids[0].tolist() == ids[1].tolist()


@pytest.mark.parametrize(
    "name",
    ["last_not_trained", "ends_with_user", "conversations_role_content", "messages_as_text"],
)
def test_one_answer_is_learned_and_is_the_reference(learned: Callable, read: Callable, tokenizer_of: Callable, name):
    assert learned(f"{name}.jsonl") == [["blue<|im_end|>"]]
    cache = read(f"{name}.jsonl")
    rows = cache.split("train")
    reference = rows.ids(0)[rows.prompt_length(0) : rows.answer_stop(0)].tolist()
    assert tokenizer_of("chatml").decode(reference) == "blue<|im_end|>"
    said = [note for note in cache.splits["train"].notes if "ends with a turn of 'user'" in note]
    assert len(said) == (name == "ends_with_user")


def test_openais_older_functions(learned: Callable):
    assert learned("function_role.jsonl", template="calls.jinja") == [
        ['[call]look_up {"word": "wren"}<|im_end|>', "A small bird.<|im_end|>"]
    ]


def test_a_preference_says_how_its_chosen_answer_is_trained_on(read: Callable, learned: Callable):
    with pytest.raises(DataError, match=r"data\.columns=\{completion: chosen\} data\.ignore=\[rejected\]"):
        read("preference.jsonl")
    assert learned("preference.jsonl", columns={"completion": "chosen"}, ignore=["rejected"]) == [["4<|im_end|>"]]
