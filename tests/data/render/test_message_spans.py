"""Parts of messages and texts as targets."""

from collections.abc import Callable

import pytest

from tasks.data import tokenize_row
from tasks.errors import DataError
from tests.data.conftest import supervised_text
from tests.data.families import ASK


def learned(row: dict, tokenizer: object) -> list[str]:
    return supervised_text(tokenize_row(row, tokenizer), tokenizer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "spans", "found"),
    [
        ("red, blue", [[0, 3]], ["red"]),
        ("red, blue", [[5, 9]], ["blue<|im_end|>"]),
        ("red, blue", [[0, 3], [5, 8, 0.5]], ["red", "blu"]),
        (" red, blue ", [[1, 4]], ["red"]),
    ],
)
def test_of_a_message(tokenizer_of: Callable, content: str, spans: list, found: list[str]):
    row = {"messages": [ASK, {"role": "assistant", "content": content, "spans": spans}]}
    assert learned(row, tokenizer_of("chatml")) == found
    weights = set(tokenize_row(row, tokenizer_of("chatml")).weights)
    assert weights == {0.0, 1.0} | {span[2] for span in spans if len(span) == 3}


def test_of_a_template_that_trims(tokenizer_of: Callable):
    row = {"messages": [ASK, {"role": "assistant", "content": "  red, blue ", "spans": [[0, 5], [7, 12]]}]}
    assert learned(row, tokenizer_of("turns")) == ["red", "blue<end_of_turn>"]


def test_of_completions_and_of_texts_with_their_end(tokenizer_of: Callable):
    assert learned({"prompt": "a", "completion": "bcd", "spans": [[1, 2]]}, tokenizer_of("chatml")) == ["c"]
    assert learned({"prompt": "a", "completion": "bcd", "spans": [[1, 3]]}, tokenizer_of(None)) == ["cd</s>"]
    assert learned({"text": "abcd", "spans": [[1, 2]]}, tokenizer_of(None)) == ["b"]
    assert learned({"text": "abcd", "spans": [[2, 4]]}, tokenizer_of(None)) == ["cd</s>"]


def test_a_content_that_is_not_found_is_refused(rendered: Callable):
    text = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | upper }}<|im_end|>\n{% endfor %}"
    with pytest.raises(DataError, match=r"cannot be placed|leaves out"):
        rendered(text, [ASK, {"role": "assistant", "content": "red", "spans": [[0, 1]]}])
