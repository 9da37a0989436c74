"""Texts become tokens, many at a time."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.data.render.encode import encode
from tasks.data.render.rendered import Rendered
from tasks.errors import DataError


def test_texts_of_all_kinds_keep_their_order(tokenizer_of: Callable):
    tokenizer = tokenizer_of("chatml")
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    rows = [
        Rendered("ab", ((0, 2, 1.0),), plain=True, end="</s>"),
        Rendered("", (), ids=(1, 2, end), id_weights=(0.0, 1.0, 1.0)),
        Rendered("c<|im_end|>", ((0, 11, 1.0),), 0, end="<|im_end|>"),
    ]
    found = encode(rows, tokenizer)
    assert [tokenizer.decode(tokens.ids) for tokens in (found[0], found[2])] == ["ab</s>", "c<|im_end|>"]
    assert (found[1].ids, found[1].weights) == ([1, 2, end], [0.0, 1.0, 1.0])
    assert [tokens.end for tokens in found] == ["</s>", "<|im_end|>", "<|im_end|>"]


def test_a_slow_tokenizer_is_refused():
    slow: Any = SimpleNamespace(is_fast=False)
    with pytest.raises(DataError, match=r"save it with a tokenizer\.json"):
        encode([], slow)
