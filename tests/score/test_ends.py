"""Where an answer ends."""

from collections.abc import Callable
from pathlib import Path

from tasks.model import Model
from tasks.model.base import load_tokenizer
from tasks.score.ends import Ends, find_ends, said_of


def test_the_model_s_ends_and_the_trained_ones(model_folder: Callable[..., Path]) -> None:
    tokenizer = load_tokenizer(Model(path=str(model_folder())))
    ends = find_ends(tokenizer, ["<|im_start|>", "<|im_end|>", "\n###"])
    assert ends.tokens == {"<|endoftext|>": 256, "<|im_start|>": 257, "<|im_end|>": 258}
    assert (ends.words, ends.named) == (("\n###",), {"<|endoftext|>", "<|im_end|>"})


def test_an_answer_is_cut_at_words_and_tokens_are_no_text(model_folder: Callable[..., Path]) -> None:
    tokenizer = load_tokenizer(Model(path=str(model_folder())))
    ends = find_ends(tokenizer, ["\n###"])
    assert ends.text(tokenizer, tokenizer.encode("ab\n### c\n###")) == "ab"
    assert ends.text(tokenizer, [*tokenizer.encode("ab"), 258]) == "ab"


def test_what_is_said_of_ends() -> None:
    ends = Ends({"</s>": 2, "<end>": 5}, named=frozenset({"</s>"}))
    assert said_of(ends, {"</s>": 9}) is None
    assert "answers end with '<end>' too" in (said_of(ends, {"</s>": 1, "<end>": 9}) or "")
    assert "never ends an answer of these rows, '<end>' does" in (said_of(ends, {"<end>": 9}) or "")
    assert "has no eos" in (said_of(Ends({}), {"<end>": 9}) or "")
