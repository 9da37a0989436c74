"""A few examples as a person is to see them: which ones tell most, and the text of their tokens one by one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.data.format.message import SPEAKERS
from tasks.data.store.cache import TokenCache
from tasks.data.store.stats import SplitStats
from tasks.data.store.token_split import TokenSplit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SCREEN = 320
"""The most tokens shown of an example; about a screen of 80 columns."""
_CONTEXT = 6  # tokens before one that a decoder may look at
_LETTER = 8  # the most tokens that one character is spread over


@dataclass(frozen=True, slots=True)
class Piece:
    """The text of one token, or of a few that are one character only together.

    Args:
        text: as the tokenizer decodes it in its place.
        ids: the tokens.
        weight: theirs as targets; 0 where they are not supervised.
        speaker: whose words they are, one of SPEAKERS.
        special: whether it is a special token.
    """

    text: str
    ids: tuple[int, ...]
    weight: float
    speaker: str
    special: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One example, cut in the middle where it is long.

    Args:
        split: its split.
        source: which of the split's sources it comes from, counted from 0.
        line: its line there.
        why: what it is shown for.
        tokens: how many it has.
        supervised_tokens: how many of them have a weight above 0.
        head: the pieces from its start.
        left_out: (tokens, supervised ones) between head and tail.
        tail: the pieces up to its end; empty where nothing is left out.
    """

    split: str
    source: int
    line: int
    why: str
    tokens: int
    supervised_tokens: int
    head: tuple[Piece, ...]
    left_out: tuple[int, int] = (0, 0)
    tail: tuple[Piece, ...] = ()


def telling_examples(cache: TokenCache) -> list[tuple[str, int, str]]:
    """(split, example, why) of a few examples that tell most, each once.

    They are the shortest, the median and the longest that a screen holds of train; one of each format, or of each
    source where there are several; and the first with special tokens of its own or with a weight.
    """
    rows, stats = cache.split("train"), cache.splits["train"]
    lengths = np.asarray(rows.lengths)
    whys: dict[tuple[str, int], list[str]] = {("train", int(lengths.argmin())): ["shortest"]}
    median = int(lengths.argsort(kind="stable")[(len(lengths) - 1) // 2])
    whys.setdefault(("train", median), []).append("median")
    if (fits := np.where(lengths <= SCREEN, lengths, 0)).any():
        whys.setdefault(("train", int(fits.argmax())), []).append("longest that fits a screen")
    for why, place in _wanted(cache, stats):
        if place is not None and why not in whys.setdefault(place, []):
            whys[place].append(why)
    return [(split, example, ", ".join(why)) for (split, example), why in whys.items()]


def _wanted(cache: TokenCache, stats: SplitStats) -> Iterator[tuple[str, tuple[str, int] | None]]:
    """What else is to be shown, and where it is; a line alone names a row only where there is one source."""
    paths = [source.path for source in stats.sources]
    if len(paths) < 2:
        for name, lines in stats.format_lines.items():
            yield f"{name} format", _find(cache, lambda rows, lines=lines: np.isin(rows.lines, lines))
    for n in range(len(paths) if len(paths) > 1 else 0):
        yield f"source {n + 1}", _find(cache, lambda rows, n=n: rows.sources == n)
    for text, remark in list(stats.specials.items())[:2]:
        of = next((n for n, path in enumerate(paths) if len(paths) > 1 and text.startswith(f"{path}: ")), 0)
        lines = remark.lines[:1]
        place = _find(cache, lambda rows, of=of, lines=lines: np.isin(rows.lines, lines) & (rows.sources == of))
        yield "special tokens in its text", place
    if stats.weighted.count:
        yield "weights", _find(cache, _with_weights(stats.weighted.lines))


def _with_weights(lines: tuple[int, ...]) -> Callable[[TokenSplit], NDArray[np.bool_]]:
    def chosen(rows: TokenSplit) -> NDArray[np.bool_]:
        out = np.isin(rows.lines, lines)
        for n in np.flatnonzero(out)[:100]:
            weights = rows.weights(int(n))
            out[n] = bool(((weights != 0) & (weights != 1)).any())
        return out

    return chosen


def _find(cache: TokenCache, chosen: Callable[[TokenSplit], NDArray[np.bool_]]) -> tuple[str, int] | None:
    """The first example of the rows of train that is chosen; it may have been held out."""
    for split in (name for name in ("train", "valid") if name in cache.splits and cache.split(name).pool == "train"):
        at = np.flatnonzero(chosen(cache.split(split)))
        if len(at):
            return split, int(at[0])
    return None


def excerpt(rows: TokenSplit, example: int, why: str, tokenizer: "PreTrainedTokenizerBase") -> Excerpt:
    """An example as pieces; only what is shown is decoded."""
    ids, weights, speakers = rows.ids(example), rows.weights(example), rows.speakers(example)
    n = len(ids)
    cut = (n, n) if n <= SCREEN else (SCREEN // 2, n - SCREEN // 2)
    first, last = (
        tuple(pieces(ids[part].tolist(), weights[part].tolist(), speakers[part].tolist(), tokenizer))
        for part in (slice(cut[0]), slice(cut[1], None))
    )
    between = cut[1] - cut[0], int(np.count_nonzero(weights[slice(*cut)]))
    line, supervised = int(rows.lines[example]), int(np.count_nonzero(weights))
    return Excerpt(rows.name, int(rows.sources[example]), line, why, n, supervised, first, between, last)


def pieces(
    ids: list[int], weights: list[float], speakers: list[int], tokenizer: "PreTrainedTokenizerBase"
) -> Iterator[Piece]:
    """The pieces of an example; the tokens of one piece have one weight and one speaker.

    Example:
        >>> from tokenizers import Tokenizer, models
        >>> from transformers import PreTrainedTokenizerFast
        >>> words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "</s>": 2}, unk_token="</s>"))
        >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>")
        >>> [(piece.text, piece.weight, piece.special) for piece in pieces([0, 2], [0.0, 1.0], [1, 1], tokenizer)]
        [('a', 0.0, False), (' </s>', 1.0, True)]
    """
    specials = set(tokenizer.all_special_ids)
    specials |= {n for n, token in getattr(tokenizer, "added_tokens_decoder", {}).items() if token.special}

    def text(start: int, stop: int) -> str:
        # Some decoders write a token's leading space only behind another token: so decode with what is before it.
        before = max(0, start - _CONTEXT)
        lead, whole = (
            str(tokenizer.decode(ids[before:end], skip_special_tokens=False, clean_up_tokenization_spaces=False))
            for end in (start, stop)
        )
        return whole[len(lead.rstrip("\ufffd")) :] if lead.endswith("\ufffd") else whole[len(lead) :]

    start = 0
    while start < len(ids):
        special, kind = ids[start] in specials, (weights[start], speakers[start])
        stop, shown = start + 1, text(start, start + 1)
        while shown.endswith("\ufffd") and not special and stop < min(len(ids), start + _LETTER):
            if (weights[stop], speakers[stop]) != kind or ids[stop] in specials:
                break
            stop, shown = stop + 1, text(start, stop + 1)
        yield Piece(shown, tuple(ids[start:stop]), kind[0], SPEAKERS[kind[1]], special)
        start = stop
