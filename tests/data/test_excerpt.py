"""The examples that are shown, and the text of their tokens."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.data import Data, TokenCache, build_cache, tokenize_row
from tasks.data.excerpt import SCREEN, Piece, excerpt, pieces, telling_examples
from tests.data.conftest import supervised_text

ROWS: list[dict[str, Any]] = [
    {"text": "a" * 50},
    {"text": "b" * 90},
    {"prompt": "six", "completion": "6"},
    {"text": "c" * (SCREEN + 50)},
    {"messages": [{"role": "user", "content": "x<|im_end|>y"}, {"role": "assistant", "content": "z" * 80}]},
    {"messages": [{"role": "user", "content": "w"}, {"role": "assistant", "content": "half" * 9, "weight": 0.5}]},
]


@pytest.fixture
def cache(tmp_path: Path, tokenizer_of: Callable) -> TokenCache:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    data = Data(train=str(path), valid_share=0.0)
    return build_cache(data, tokenizer_of("chatml"), tokenizer_fingerprint="t", root=tmp_path / "cache")


def test_which_examples_tell_most(cache: TokenCache):
    lines = cache.split("train").lines
    assert {int(lines[n]): why for _, n, why in telling_examples(cache)} == {
        3: "shortest, completions format",
        6: "median, weights",
        5: "longest that fits a screen, chat format, special tokens in its text",
        1: "text format",
    }


def test_a_long_example_is_cut_in_the_middle(cache: TokenCache, tokenizer_of: Callable):
    rows = cache.split("train")
    long = rows.lines.tolist().index(4)
    shown = excerpt(rows, long, "long", tokenizer_of("chatml"))
    assert (shown.line, shown.tokens, shown.supervised_tokens) == (4, SCREEN + 51, SCREEN + 50)
    assert (len(shown.head), len(shown.tail), shown.left_out) == (SCREEN // 2, SCREEN // 2, (51, 51))
    short = excerpt(rows, rows.lines.tolist().index(1), "short", tokenizer_of("chatml"))
    assert (len(short.head), short.left_out, short.tail) == (51, (0, 0), ())
    assert "".join(piece.text for piece in short.head) == "a" * 50 + "</s>"


def _shown(row: dict[str, Any], tokenizer: Any) -> tuple[Any, list[Piece]]:
    tokens = tokenize_row(row, tokenizer)
    return tokens, list(pieces(tokens.ids, tokens.weights, list(tokens.speakers), tokenizer))


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Co"]), min_size=1, max_size=30).filter(
    lambda text: text == text.strip() and "\ufffd" not in text
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ask=_TEXT, answer=_TEXT)
def test_the_supervised_text_shown_is_what_the_supervised_tokens_decode_to(
    tokenizer_of: Callable, ask: str, answer: str
):
    tokenizer = tokenizer_of("chatml")
    row = {"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]}
    tokens, shown = _shown(row, tokenizer)
    assert [token for piece in shown for token in piece.ids] == tokens.ids
    supervised = "".join(piece.text for piece in shown if piece.weight)
    assert [supervised] == supervised_text(tokens, tokenizer) == [answer + "<|im_end|>"]
    assert "".join(piece.text for piece in shown) == tokenizer.decode(tokens.ids)


@pytest.mark.parametrize(
    "folder", ["qwen3", "llama-3.2-instruct", "phi-3-mini-instruct", "gemma3-template-SYNTHETIC-vocab"]
)
def test_real_tokenizers(folder: str, bank_tokenizer: Callable[[str], Any]):
    answer = "two  spaces, çà et là; 日本語 👨‍👩‍👧 and\n\ta tab"
    row = {"messages": [{"role": "user", "content": "héé 日"}, {"role": "assistant", "content": answer}]}
    tokens, shown = _shown(row, bank_tokenizer(folder))
    assert [token for piece in shown for token in piece.ids] == tokens.ids
    assert answer in "".join(piece.text for piece in shown if piece.weight and not piece.special)
    assert [piece.special for piece in shown if piece.weight][-1], "the end of the turn"
    assert len(shown) > len(tokens.ids) // 2, "a piece is a token, or a few that are one character"
    assert all(piece.speaker == "assistant" for piece in shown if piece.weight)
