"""Tokens: ids and the weight of each as a target, as the tokenizer makes them of rendered texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.data.format.message import SPEAKERS
from tasks.data.format.unread import Unread
from tasks.data.render.rendered import Rendered
from tasks.errors import DataError, one_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Tokens:
    """One example for training.

    Args:
        ids: token ids.
        weights: of the same length; `ids[i]` is a target with weight `weights[i]`, 0 where it is not supervised.
            The first is always 0: nothing predicts it.
        prompt_length: how many of `ids` stand before the last supervised span, so that `ids[:prompt_length]` is a
            prompt and the rest its reference answer; 0 for plain text.
        lost: what the chat template left out of the row: tool calls, tools, whole messages.
        notes: what else it did, or what the row holds, that a person should know.
        speakers: whose words each token holds, a byte each, an index of SPEAKERS; empty where that is not known.
        specials: the special tokens that the row's own texts contain, each with where it stands.
        unread: the columns and message keys that nothing reads.
        end: what the last answer that is learned, or the text, ends with: a special token, or a template's words; ""
            where nothing ends it.
    """

    ids: list[int]
    weights: list[float]
    prompt_length: int = 0
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    speakers: bytes = b""
    specials: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    end: str = ""


def encode(rendered: Sequence[Rendered], tokenizer: "PreTrainedTokenizerBase") -> list[Tokens]:
    """Tokens of several texts; the tokenizer runs over all of them at once.

    Args:
        rendered: the texts.
        tokenizer: a fast `transformers` tokenizer.

    Raises:
        DataError: the tokenizer has no offsets.
    """
    if not tokenizer.is_fast:
        raise DataError("the tokenizer has no offsets (it is a slow one); save it with a tokenizer.json")
    out: dict[int, Tokens] = {}
    for n, text in enumerate(rendered):
        if text.ids:
            out[n] = _given(text, tokenizer)
    for plain in (False, True):
        group = [n for n, text in enumerate(rendered) if text.plain is plain and not text.ids]
        if not group:
            continue
        texts = [rendered[n].text for n in group]
        encoded = tokenizer(
            texts, add_special_tokens=plain, return_offsets_mapping=True, return_attention_mask=False, verbose=False
        )
        rows = zip(group, encoded["input_ids"], encoded["offset_mapping"], strict=True)  # type: ignore[arg-type]
        for n, ids, offsets in rows:
            edges = np.fromiter(chain.from_iterable(offsets), np.int64, 2 * len(ids)).reshape(-1, 2)
            ids, edges = _once(list(ids), edges, rendered[n], tokenizer) if plain else (list(ids), edges)  # type: ignore[arg-type]
            out[n] = _weighted(rendered[n], ids, edges, tokenizer.eos_token_id)  # type: ignore[arg-type]
    return [out[n] for n in range(len(rendered))]


def encode_each(rendered: Sequence[Rendered], tokenizer: "PreTrainedTokenizerBase") -> list[Tokens | DataError]:
    """As `encode`, where one text of which the tokenizer makes nothing is an error by itself.

    A tokenizer's own regular expression can give up on a text: its library then panics, which is no `Exception`.
    """
    try:
        return [*encode(rendered, tokenizer)]
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        if len(rendered) == 1:
            return [DataError(f"the tokenizer gives up on the row: {one_line(error)}")]
        half = len(rendered) // 2
        return [*encode_each(rendered[:half], tokenizer), *encode_each(rendered[half:], tokenizer)]


def _given(rendered: Rendered, tokenizer: "PreTrainedTokenizerBase") -> Tokens:
    """Tokens of a row that brings its own; where some of them are no targets, the last run of those is its answer."""
    weights = np.asarray(rendered.id_weights) * rendered.weight
    weights[:1] = 0.0
    trained = weights != 0
    breaks = np.flatnonzero(trained[1:] & ~trained[:-1]) + 1
    answer = int(breaks[-1]) if len(breaks) and not all(rendered.id_weights) else 0
    speakers = np.where(trained & (answer > 0), SPEAKERS.index("assistant"), SPEAKERS.index("text")).astype(np.uint8)
    last = tokenizer.added_tokens_decoder.get(rendered.ids[int(np.flatnonzero(trained)[-1])]) if trained.any() else None
    return Tokens(
        list(rendered.ids),
        weights.tolist(),
        answer,
        notes=rendered.notes,
        speakers=speakers.tobytes(),
        unread=rendered.unread,
        end=last.content if last is not None and last.special else "",
    )


def _once(
    ids: list[int], edges: NDArray[np.int64], rendered: Rendered, tokenizer: "PreTrainedTokenizerBase"
) -> tuple[list[int], NDArray[np.int64]]:
    """The tokens of a plain text without the bos, or the eos, that the tokenizer adds to one that has its own.

    What it adds has no characters of the text: its offsets are empty.
    """
    added = edges[:, 0] == edges[:, 1]
    first = int(len(ids) > 1 and added[0] and ids[:2] == [tokenizer.bos_token_id] * 2)
    last = len(ids) - int(rendered.closed and len(ids) > 1 and added[-1] and ids[-1] == tokenizer.eos_token_id)
    return ids[first:last], edges[first:last]


def _weighted(rendered: Rendered, ids: list[int], edges: NDArray[np.int64], eos: int | None) -> Tokens:
    starts, stops = edges[:, 0], edges[:, 1]
    weights = np.zeros(len(ids), np.float64)
    for start, stop, weight in rendered.spans:
        weights[(starts < stop) & (stops > start)] = weight
    speakers = np.zeros(len(ids), np.uint8)
    for start, stop, name in rendered.speakers:
        speakers[(starts < stop) & (stops > start)] = SPEAKERS.index(name)
    answer = 0
    if rendered.answer is not None:
        after = np.flatnonzero(stops > rendered.answer)
        answer = int(after[0]) if len(after) else len(ids)
    if rendered.plain and eos is not None and not rendered.closed and ids[-1:] != [eos]:
        # The tokenizer of a base model does not write the end of a text; without it a model never learns to stop.
        ids, speakers = [*ids, eos], np.append(speakers, np.uint8(0))
        weights = np.append(weights, float(rendered.learns_end))
    elif rendered.plain and eos is not None and ids[-1:] == [eos]:
        weights[-1] = float(rendered.learns_end)
    if rendered.plain and rendered.speakers and ids[-1:] == [eos]:
        speakers[-1] = SPEAKERS.index(rendered.speakers[-1][2])  # who speaks last ends the text
    weights[:1] = 0.0
    weights *= rendered.weight
    return Tokens(
        ids,
        weights.tolist(),
        answer,
        rendered.lost,
        rendered.notes,
        speakers.tobytes(),
        rendered.specials,
        rendered.unread,
        rendered.end,
    )
