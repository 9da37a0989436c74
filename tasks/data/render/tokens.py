"""From one raw row to its tokens, of a length that may be trained on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tasks.data.config import Supervise
from tasks.data.format.formats import Format, parse_row
from tasks.data.render.encode import Tokens, encode
from tasks.data.render.render import render
from tasks.data.render.template import Template
from tasks.data.render.truncate import Cut, truncate
from tasks.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def tokenize_row(
    row: dict[str, Any],
    tokenizer: "PreTrainedTokenizerBase",
    *,
    supervise: Supervise = "assistant",
    format: Format = "auto",
    max_tokens: int | None = None,
    template_kwargs: Mapping[str, Any] | None = None,
    truncate: Cut = "keep_start",
    template: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Tokens:
    """One raw row as ids and weights.

    The conversation is rendered once, by the tokenizer's chat template. A supervised turn begins right after its
    header and ends with its end-of-turn token; a token that holds a character of it is supervised.

    Args:
        row: a dict in any of the formats.
        tokenizer: a fast `transformers` tokenizer.
        supervise: which turns are targets, see `Data`.
        format: a format's name, or `auto`.
        max_tokens: the longest example.
        template_kwargs: variables for the chat template.
        truncate: what happens to a longer one: `keep_start`, `keep_end` or `error`.
        template: the text of a Jinja template to use instead of the tokenizer's.
        columns: columns under other names, ours to theirs.

    Raises:
        DataError: the row cannot be trained on; its text is the reason.

    Example:
        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> from transformers import PreTrainedTokenizerFast
        >>> words = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "once": 2, "upon": 3}, unk_token="<unk>"))
        >>> words.pre_tokenizer = pre_tokenizers.Whitespace()
        >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", unk_token="<unk>")
        >>> tokens = tokenize_row({"text": "once upon"}, tokenizer)
        >>> tokens.ids, tokens.weights
        ([2, 3, 1], [0.0, 1.0, 1.0])
    """
    example = parse_row(row, format, columns)
    rendered = render(example, Template(tokenizer, template, dict(template_kwargs or {})), supervise)
    return fit(encode([rendered], tokenizer)[0], max_tokens, truncate)


def fit(tokens: Tokens, max_tokens: int | None, cut: Cut) -> Tokens:
    """Tokens of at most `max_tokens`, with something left to learn.

    Raises:
        DataError: too long where `cut` is `error`, or no supervised token is left.

    Example:
        >>> fit(Tokens([5, 6, 7], [0.0, 0.0, 1.0], 2), 2, "keep_end").weights
        [0.0, 1.0]
    """
    if max_tokens is not None and len(tokens.ids) > max_tokens:
        ids, weights, start = truncate(tokens.ids, tokens.weights, max_tokens, cut)
        prompt = min(max(tokens.prompt_length - start, 0), len(ids))
        speakers = tokens.speakers[start : start + len(ids)]
        tokens = replace(tokens, ids=ids, weights=weights, prompt_length=prompt, speakers=speakers)
        if not any(tokens.weights):
            raise DataError(f"no supervised token is left of the {max_tokens} tokens of {cut}; raise data.max_tokens")
    if not any(tokens.weights):
        raise DataError("no token of the row is supervised; see data.supervise, and 'train' and 'weight' of messages")
    return tokens
