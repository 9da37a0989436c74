"""A plain text gets one bos and one end, and a chat that was rendered already is recognised."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.data.render.plain import rendered_mark
from tasks.data.render.template import Template
from tasks.data.render.tokens import tokenize_row
from tests.data.conftest import byte_tokenizer, supervised_text
from tests.data.families import ANSWER, ASK


@pytest.fixture(scope="module")
def with_bos() -> Any:
    """The byte tokenizer, which puts a bos before a text and an eos behind it by itself."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = byte_tokenizer()
    tokens = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<s> $A </s>", special_tokens=tokens)
    return tokenizer


@pytest.mark.parametrize("text", ["ab", "<s>ab", "ab</s>", "<s>ab</s>"])
def test_one_bos_and_one_eos(with_bos: Any, text: str):
    tokens = tokenize_row({"text": text}, with_bos)
    assert with_bos.decode(tokens.ids) == "<s>ab</s>"
    assert (tokens.weights, tokens.end) == ([0.0, 1.0, 1.0, 1.0], "</s>")


@pytest.mark.parametrize("name", [None, "plain words"])
def test_an_eos_before_the_last_newline_is_the_end(tokenizer_of: Callable, with_bos: Any, name: str | None):
    for tokenizer in (tokenizer_of(name), with_bos):
        tokens = tokenize_row({"text": "ab</s>\n"}, tokenizer)
        assert tokenizer.decode(tokens.ids).removeprefix("<s>") == "ab</s>\n"


def test_a_bos_in_a_prompt_is_the_only_one(with_bos: Any):
    tokens = tokenize_row({"prompt": "<s>ab", "completion": "c"}, with_bos)
    assert with_bos.decode(tokens.ids) == "<s>abc</s>"
    assert with_bos.decode(tokens.ids[: tokens.prompt_length]) == "<s>ab"
    assert supervised_text(tokens, with_bos) == ["c</s>"]


@pytest.mark.parametrize("name", ["chatml", "turns", "tokens"])
def test_a_chat_that_was_rendered_is_said_and_gets_no_other_end(tokenizer_of: Callable, name: str):
    tokenizer = tokenizer_of(name)
    text = tokenizer.apply_chat_template([ASK, ANSWER], tokenize=False)
    tokens = tokenize_row({"text": text}, tokenizer)
    assert tokenizer.decode(tokens.ids) == text
    assert tokens.end in text
    (note,) = tokens.notes
    assert note.startswith("the text looks like a chat that was rendered already (")
    assert "no tokens of this model" not in note


def test_a_chat_of_another_model_is_said(tokenizer_of: Callable):
    (note,) = tokenize_row({"text": "### Response:\nyes"}, tokenizer_of(None)).notes
    assert "by a template whose marks are no tokens of this model" in note


def test_words_that_only_look_like_a_header_are_no_chat(tokenizer_of: Callable):
    assert rendered_mark("ASSISTANT: a", Template(tokenizer_of("plain words"), None, {})) is None
    assert not tokenize_row({"text": "a user and an assistant"}, tokenizer_of("chatml")).notes


def test_a_tokenizer_without_an_eos_is_said():
    tokenizer = byte_tokenizer()
    tokenizer.eos_token = None
    tokens = tokenize_row({"text": "ab"}, tokenizer)
    assert (tokens.end, len(tokens.ids)) == ("", 2)
    assert tokens.notes == ("the tokenizer has no eos: a text ends with nothing, and a model does not learn to stop",)


def test_the_case_of_two_texts(shared_cases: Path, with_bos: Any):
    lines = (shared_cases / "rendered_with_bos.jsonl").read_text("utf-8").splitlines()
    first, second = (tokenize_row(json.loads(line), with_bos).ids for line in lines)
    bos = with_bos.bos_token_id
    assert [first.count(bos), second.count(bos)] == [1, 1]
    assert first[:1] == second[:1] == [bos]
