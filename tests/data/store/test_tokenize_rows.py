"""Rows of a source as examples: strict and lenient, and the bank's malformed rows by their verdicts."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.data import Data
from tasks.data.render.template import Template
from tasks.data.source.read import read_rows
from tasks.data.store.tally import Tally
from tasks.data.store.tokenize_rows import tokenize_source
from tasks.errors import DataError


def run(data: Data, tokenizer: Any) -> tuple[list, Tally]:
    tally = Tally()
    (source,) = data.sources("train")
    rows = read_rows(source.path, encoding=source.encoding)
    return list(tokenize_source(rows, source, data, tokenizer, Template(tokenizer, None, {}), tally)), tally


def test_malformed_rows_by_their_verdicts(shared_data: Path, bank_tokenizer: Callable):
    folder = shared_data / "datasets/malformed_sample"
    verdicts = {entry["line"]: entry["verdict"] for entry in json.loads((folder / "manifest.json").read_text("utf-8"))}
    examples, tally = run(Data(train=str(folder / "rows.jsonl"), strict=False), bank_tokenizer("qwen3"))
    kept = {line for line, _, _ in examples}
    assert tally.rows == len(verdicts) == 26
    assert {line for line, verdict in verdicts.items() if verdict == "accept"} <= kept
    assert not {line for line, verdict in verdicts.items() if verdict == "reject"} & kept


def test_malformed_rows_stop_a_strict_run_at_the_first(shared_data: Path, bank_tokenizer: Callable):
    path = shared_data / "datasets/malformed_sample/rows.jsonl"
    with pytest.raises(DataError, match=r"rows\.jsonl:3: not JSON"):
        run(Data(train=str(path)), bank_tokenizer("qwen3"))


def test_the_file_with_a_bom_and_crlf(shared_data: Path, bank_tokenizer: Callable):
    path = shared_data / "datasets/malformed_sample/file_bom_crlf.jsonl"
    assert len(run(Data(train=str(path)), bank_tokenizer("qwen3"))[0]) == 3


def test_the_tokenizer_says_nothing_of_long_rows(
    tmp_path: Path, tokenizer_of: Callable, caplog: pytest.LogCaptureFixture
):
    """Its warning speaks of indexing errors; that a row is too long for the model is said by us, with its line."""
    tokenizer, path = tokenizer_of(None), tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "x" * 99}))
    longest, tokenizer.model_max_length = tokenizer.model_max_length, 10
    logging.getLogger("transformers").addHandler(caplog.handler)
    try:
        assert len(run(Data(train=str(path)), tokenizer)[0]) == 1
    finally:
        logging.getLogger("transformers").removeHandler(caplog.handler)
        tokenizer.model_max_length = longest
    assert not caplog.records


@pytest.fixture
def source(tmp_path: Path) -> str:
    rows = [{"text": "x" * n} for n in (3, 9, 4)] + [{"prompt": "p", "completion": "c"}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_drop_is_counted_even_when_strict(source: str, tokenizer_of: Callable):
    examples, tally = run(Data(train=source, max_tokens=6, truncate="drop"), tokenizer_of(None))
    assert [line for line, _, _ in examples] == [1, 3, 4]
    assert tally.dropped["longer than data.max_tokens N"].lines == (2,)


def test_error_names_the_line(source: str, tokenizer_of: Callable):
    with pytest.raises(DataError, match=r"a\.jsonl:2: the row has 10 tokens and data\.max_tokens is 6"):
        run(Data(train=source, max_tokens=6), tokenizer_of(None))


def test_split_is_for_text(source: str, tokenizer_of: Callable):
    examples, _ = run(Data(train=source, max_tokens=6, truncate="split"), tokenizer_of(None))
    assert [len(tokens.ids) for _, _, tokens in examples] == [4, 6, 5, 5, 3]
    with pytest.raises(DataError, match=r"a\.jsonl:4: .* is for rows of plain text"):
        run(Data(train=source, max_tokens=2, truncate="split"), tokenizer_of(None))


def test_what_the_template_leaves_out_stops_is_dropped_or_is_allowed(tmp_path: Path, tokenizer_of: Callable):
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}
    messages = [{"role": "user", "content": "a"}, call]
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"messages": messages}))
    with pytest.raises(
        DataError, match=r"a\.jsonl:1: the template leaves out the tool call .*strict=false.*allow_lost="
    ):
        run(Data(train=str(path)), tokenizer_of("chatml"))
    examples, tally = run(Data(train=str(path), strict=False), tokenizer_of("chatml"))
    assert (examples, tally.lost) == ([], {})
    assert [remark.lines for remark in tally.dropped.values()] == [(1,)]
    for strict in (True, False):
        examples, tally = run(Data(train=str(path), strict=strict, allow_lost=True), tokenizer_of("chatml"))
        assert [line for line, _, _ in examples] == [1]
        assert (list(tally.lost), tally.dropped) == (
            ["the template leaves out the tool call of a message of role 'assistant'"],
            {},
        )


def test_a_row_that_the_tokenizer_gives_up_on_is_one_row(tmp_path: Path):
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "a": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+$"), "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", unk_token="<unk>")
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a", "a" * 60 + "b", "a")))
    examples, tally = run(Data(train=str(path), strict=False), tokenizer)
    assert [line for line, _, _ in examples] == [1, 3]
    assert [(reason[:35], remark.count) for reason, remark in tally.dropped.items()] == [
        ("the tokenizer gives up on the row: ", 1)
    ]
    with pytest.raises(DataError, match=r"a\.jsonl:2: the tokenizer gives up on the row: "):
        run(Data(train=str(path)), tokenizer)
