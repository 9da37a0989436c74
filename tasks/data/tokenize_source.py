"""The rows of one source as examples, in batches: read, parsed, rendered, and tokenized many at a time."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from tasks.data.config import Data
from tasks.data.formats import parse_row
from tasks.data.read import read_rows
from tasks.data.render import Rendered, render
from tasks.data.split import row_digest
from tasks.data.stats import Tally
from tasks.data.template import Template
from tasks.data.tokens import Tokens, encode, fit
from tasks.data.truncate import split
from tasks.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Enough for the tokenizer to use every core, few enough that a batch of long rows stays small.
_BATCH = 256


def tokenize_source(
    source: str, hub_split: str, data: Data, tokenizer: "PreTrainedTokenizerBase", template: Template, tally: Tally
) -> Iterator[tuple[int, int, Tokens]]:
    """Yields (line, row digest, tokens) of every row that is trained on; the rest is counted in `tally`.

    Raises:
        DataError: a row that cannot be trained on as meant, where `data.strict`; with file and line.
    """
    rows = read_rows(source, hub_split)
    while batch := list(islice(rows, _BATCH)):
        tally.rows += len(batch)
        prepared = [_prepare(row, data, template) for _, row in batch]
        good = [n for n, item in enumerate(prepared) if not isinstance(item, DataError)]
        encoded = dict(zip(good, encode([prepared[n][1] for n in good], tokenizer), strict=True))  # type: ignore[index]
        for n, (line, _) in enumerate(batch):
            item = prepared[n]
            try:
                if isinstance(item, DataError):
                    raise item
                pieces = _pieces(encoded[n], item[0], data)
            except DataError as error:
                if data.strict:
                    raise DataError(error.reason, path=source, line=line) from error
                tally.drop(error.reason, line)
                continue
            if not pieces:
                tally.drop(f"longer than data.max_tokens {data.max_tokens}", line)
                continue
            tally.keep(encoded[n], item[0], line)
            digest = row_digest(encoded[n].ids)
            yield from ((line, digest, piece) for piece in pieces)


def _prepare(row: object, data: Data, template: Template) -> tuple[str, Rendered] | DataError:
    if isinstance(row, DataError):
        return row
    try:
        example = parse_row(row, data.format, data.columns)
        return example.format, render(example, template, data.supervise)
    except DataError as error:
        return error


def _pieces(tokens: Tokens, format: str, data: Data) -> list[Tokens]:
    """The examples one row becomes: one; none where it is dropped by wish; several where a text is split."""
    if data.strict and tokens.lost:
        raise DataError(
            f"{tokens.lost[0]}; use a template that writes it (data.template), "
            "or set data.strict=false to train on the rest"
        )
    if data.max_tokens is None or len(tokens.ids) <= data.max_tokens:
        return [fit(tokens, None, "error")]
    if data.truncate == "drop":
        return []
    if data.truncate == "split":
        if format != "text":
            raise DataError(f"data.truncate=split is for rows of plain text, and this one is {format}")
        pieces = split(tokens.ids, tokens.weights, data.max_tokens)
        return [Tokens(ids, weights, 0, tokens.lost, tokens.notes) for ids, weights in pieces]
    return [fit(tokens, data.max_tokens, data.truncate)]
