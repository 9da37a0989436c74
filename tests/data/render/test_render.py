"""What a template drops or leaves unlearnable is said, or refused."""

from collections.abc import Callable
from typing import Any

import pytest

from tasks.data.format.message import SPEAKERS
from tasks.data.render.tokens import Tokens, tokenize_row
from tasks.errors import DataError
from tests.data.families import ANSWER, ASK, ONLY_THESE


def test_an_answer_left_out_is_refused(rendered: Callable):
    text = ONLY_THESE.replace("ROLES", "['user']") + "{% endfor %}"
    with pytest.raises(DataError, match=r"leaves out the content of messages\[1\]"):
        rendered(text, [ASK, ANSWER])


def test_an_answer_without_an_end_is_refused_unless_untrained(rendered: Callable):
    text = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% endfor %}"
    with pytest.raises(DataError, match="no end-of-turn token follows"):
        rendered(text, [ASK, ANSWER])
    assert not any(weight for *_, weight in rendered(text, [ASK, {**ANSWER, "train": False}]).spans)


def test_a_generation_block_without_the_end_is_refused(rendered: Callable):
    text = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}"
        "{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    )
    with pytest.raises(DataError, match="leaves out the end-of-turn token"):
        rendered(text, [ASK, ANSWER])


def test_an_answer_written_twice_is_refused(rendered: Callable):
    text = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{{ m.content }}<|im_end|>\n{% endfor %}"
    with pytest.raises(DataError, match="more than once"):
        rendered(text, [ASK, ANSWER])


def spoken(tokens: Tokens, tokenizer: Any) -> dict[str, str]:
    assert len(tokens.speakers) == len(tokens.ids)
    said: dict[str, list[int]] = {}
    for token, code in zip(tokens.ids, tokens.speakers, strict=True):
        said.setdefault(SPEAKERS[code], []).append(token)
    return {name: tokenizer.decode(ids) for name, ids in said.items()}


def test_whose_words_each_token_holds(tokenizer_of: Callable):
    row = {"messages": [{"role": "system", "content": "s"}, *[ASK, ANSWER]]}
    assert spoken(tokenize_row(row, tokenizer_of("chatml")), tokenizer_of("chatml")) == {
        "template": "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n\n",
        "system": "s",
        "user": "a",
        "assistant": "b<|im_end|>",
    }
    bare = tokenizer_of(None)
    assert spoken(tokenize_row({"text": "ab"}, bare), bare) == {"text": "ab</s>"}
    pair = tokenize_row({"prompt": "p", "completion": "c"}, bare)
    assert spoken(pair, bare) == {"user": "p", "assistant": "c</s>"}
