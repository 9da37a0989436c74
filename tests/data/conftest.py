"""Fixtures of the data room: a throw-away tokenizer of bytes, and those of the test bank where it is present."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.data.format.formats import parse_row
from tasks.data.render.render import render
from tasks.data.render.rendered import Rendered
from tasks.data.render.template import Template
from tests.data.families import SPECIALS, TEMPLATES


def byte_tokenizer(template: str | None = None) -> Any:
    """A fast tokenizer with a token for each byte and each of SPECIALS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={piece: n for n, piece in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIALS)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    fast.chat_template = template
    return fast


@pytest.fixture(scope="session")
def tokenizer_of() -> Callable[[str | None], Any]:
    """The byte tokenizer with a template of families.TEMPLATES, or without one."""
    made = {name: byte_tokenizer(text) for name, text in [*TEMPLATES.items(), (None, None)]}
    return lambda name: made[name]


@pytest.fixture
def rendered(tokenizer_of: Callable) -> Callable[..., Rendered]:
    """A conversation as a template of this text renders it, its assistant supervised."""

    def run(text: str, messages: list[dict[str, Any]], **row: Any) -> Rendered:
        template = Template(tokenizer_of(None), text, {})
        return render(parse_row({"messages": messages, **row}), template, "assistant")

    return run


@pytest.fixture(scope="session")
def bank_tokenizer(shared_data: Path) -> Callable[[str], Any]:
    """A real tokenizer of the test bank, loaded once."""
    from transformers import AutoTokenizer

    loaded: dict[str, Any] = {}

    def load(folder: str) -> Any:
        if folder not in loaded:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # third-party words about regexes and classes of these tokenizers
                loaded[folder] = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / folder)
        return loaded[folder]

    return load


def supervised_text(tokens: Any, tokenizer: Any) -> list[str]:
    """The text of each run of supervised tokens."""
    runs: list[list[int]] = []
    for n, (token, weight) in enumerate(zip(tokens.ids, tokens.weights, strict=True)):
        if weight and n and tokens.weights[n - 1]:
            runs[-1].append(token)
        elif weight:
            runs.append([token])
    return [tokenizer.decode(run) for run in runs]
