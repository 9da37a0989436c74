"""Answers are greedy, one a prompt, and a batch is trusted where it gives what each prompt does alone."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from tasks.model import Model
from tasks.model.base import load_base, load_tokenizer
from tasks.score.answers import answers, batch_differs, trusted
from tasks.score.ends import Ends, find_ends
from tests.attention.families import tiny

PROMPTS = [[1, 2, 3, 4, 5, 6, 7], [8, 9], [10, 11, 12, 13], [14]]


def greedy(model: Any, prompt: list[int], most: int, stops: frozenset[int]) -> list[int]:
    ids = list(prompt)
    while len(ids) - len(prompt) < most and (best := int(mx.argmax(model(mx.array([ids]))[0, -1]))) not in stops:
        ids.append(best)
    return ids[len(prompt) :]


@pytest.mark.parametrize("at_once", [1, 2, 32])
def test_each_answer_is_the_greedy_one(at_once: int, model_folder: Callable[..., Path]) -> None:
    source = Model(path=str(model_folder()))
    model, tokenizer = load_base(source).model, load_tokenizer(source)
    plain = find_ends(tokenizer, [])
    first = greedy(model, PROMPTS[0], 4, plain.ids)
    ends = Ends({**plain.tokens, "x": first[2]}, named=plain.named)  # one of them ends early
    expected = [tokenizer.decode(greedy(model, prompt, 4, ends.ids)) for prompt in PROMPTS]
    assert answers(model, tokenizer, PROMPTS, 4, ends, at_once) == expected
    assert answers(model, tokenizer, [], 4, ends, at_once) == []


@pytest.mark.parametrize("family", ["qwen3", "llama", "gemma3_text", "qwen3_moe", "gpt_oss"])
def test_a_batch_that_gives_the_same_is_trusted(family: str) -> None:
    assert batch_differs(tiny(family), PROMPTS) is None


def test_a_batch_that_crashes_or_gives_something_else_is_not(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny("gemma2", num_key_value_heads=2)
    assert "the model takes no several prompts at once (" in (batch_differs(model, PROMPTS) or "")
    assert "off by" in (batch_differs(model, PROMPTS[:2], at_once=2) or ""), "as many as heads of keys: no error"
    assert "off by" in (batch_differs(tiny("mamba"), PROMPTS) or ""), "its state runs on through the padding"
    with caplog.at_level(logging.WARNING):
        assert trusted(model, PROMPTS, 32) == 1
    assert "one at a time" in caplog.text
    assert trusted(model, PROMPTS[:1], 32) == 32, "nothing to ask"
