"""The rows of one source as examples, in batches: read, parsed, rendered, and tokenized many at a time."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from tasks.data.config import Data
from tasks.data.format.formats import parse_row
from tasks.data.render.encode import Tokens, encode_each
from tasks.data.render.render import render
from tasks.data.render.rendered import Rendered
from tasks.data.render.template import Template
from tasks.data.render.tokens import fit
from tasks.data.render.truncate import split
from tasks.data.render.unread_keys import unread_keys
from tasks.data.source.blocks import Numbered
from tasks.data.sources import Source
from tasks.data.store.held_out_share import row_digest
from tasks.data.store.tally import Tally
from tasks.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Enough for the tokenizer to use every core, few enough that a batch of long rows stays small.
_BATCH = 256


def tokenize_source(
    rows: Iterator[Numbered],
    source: Source,
    data: Data,
    tokenizer: "PreTrainedTokenizerBase",
    template: Template,
    tally: Tally,
) -> Iterator[tuple[int, int, Tokens]]:
    """Yields (line, row digest, tokens) of every row that is trained on; the rest is counted in `tally`.

    Args:
        rows: those of the source, or some of them.
        source: theirs, as `Data.sources` gives it.
        data: the settings.
        tokenizer: a fast tokenizer.
        template: its chat template, or another.
        tally: the counts of the rows; complete when the iterator is used up.

    Raises:
        DataError: a row that cannot be trained on as meant, where `data.strict`; with file and line.
    """
    while batch := list(islice(rows, _BATCH)):
        tally.rows += len(batch)
        prepared = [_prepare(row, source, data, template) for _, row in batch]
        good = [n for n, item in enumerate(prepared) if not isinstance(item, DataError)]
        made = zip(good, encode_each([prepared[n][1] for n in good], tokenizer), strict=True)  # type: ignore[index]
        encoded: dict[int, Tokens] = {}
        for n, tokens in made:
            if isinstance(tokens, DataError):
                prepared[n] = tokens
            else:
                encoded[n] = tokens
        for n, (line, _) in enumerate(batch):
            item = prepared[n]
            try:
                if isinstance(item, DataError):
                    raise item
                if item[1].weight == 0:
                    tally.drop("the row's own weight is 0", line)
                    continue
                pieces = _pieces(encoded[n], item[0], data)
            except DataError as error:
                if data.strict:
                    lost = not isinstance(item, DataError) and error.reason in encoded[n].lost
                    raise DataError(error.reason + _way_out(lost), path=source.path, line=line) from error
                tally.drop(error.reason, line)
                continue
            if not pieces:
                tally.drop(f"longer than data.max_tokens {data.max_tokens}", line)
                continue
            tally.keep(encoded[n], item[0], line)
            digest = row_digest(encoded[n].ids)
            yield from ((line, digest, piece) for piece in pieces)


def _way_out(lost: bool) -> str:
    """How to go on after a strict run's end; `lost`: for what the template leaves out of a row."""
    if lost:
        return (
            "; use a template that writes it (data.template), or leave such rows out (data.strict=false), "
            "or train on what is left of them (data.allow_lost=true)"
        )
    return " (data.strict=false leaves such rows out and counts them)"


def _prepare(row: object, source: Source, data: Data, template: Template) -> tuple[str, Rendered] | DataError:
    if isinstance(row, DataError):
        return row
    try:
        columns = data.columns if source.columns is None else source.columns
        example = parse_row(row, source.format or data.format, columns, data.ignore)
        rendered = render(example, template, data.supervise)
        return example.format, replace(rendered, unread=(*example.unread, *unread_keys(example, template)))
    except DataError as error:
        return error


def _pieces(tokens: Tokens, format: str, data: Data) -> list[Tokens]:
    """The examples one row becomes: one; none where it is dropped by wish; several where a text is split."""
    if tokens.lost and not data.allow_lost:
        raise DataError(tokens.lost[0])
    if data.max_tokens is None or len(tokens.ids) <= data.max_tokens:
        return [fit(tokens, None, "error")]
    if data.truncate == "drop":
        return []
    if data.truncate == "split":
        if format != "text":
            raise DataError(f"data.truncate=split is for rows of plain text, and this one is {format}")
        step, cuts = data.max_tokens - 1, split(tokens.ids, tokens.weights, data.max_tokens)
        said = [tokens.speakers[n * step : n * step + data.max_tokens] for n in range(len(cuts))]
        return [replace(tokens, ids=i, weights=w, speakers=s) for (i, w), s in zip(cuts, said, strict=True)]
    return [fit(tokens, data.max_tokens, data.truncate)]
