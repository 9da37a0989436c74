"""Counts of a split: its rows, its tokens by speaker, and their lengths."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tasks.artifact import Record
from tasks.data.format.message import SPEAKERS
from tasks.data.store.columns import DIGEST, LINE, START, STOP
from tasks.data.store.held_out_share import duplicates
from tasks.data.store.lengths import Lengths, describe_lengths
from tasks.data.store.mix import SourceStats
from tasks.data.store.tally import FIRST_LINES, Remark, Tally

_WINDOW = 1 << 20  # tokens counted at a time


class Share(Record):
    """The number of tokens of one speaker, and of the supervised ones among them."""

    tokens: int
    supervised_tokens: int


class SplitStats(Record):
    """The counts of one split.

    Args:
        rows: rows read from the source; 0 for a held-out split, whose rows are counted in train, and so are its
            `formats`, `dropped`, `lost`, `notes`, `specials` and `ends`.
        examples: how many are trained on.
        dropped: rows left out, by reason (numbers in it written N).
        lost: rows trained on of which the chat template left something out, where `data.allow_lost`.
        notes: what else is worth knowing about rows, such as text that the template rewrote or added.
        specials: special tokens that stand in the rows' own texts, by token and role: a hazard, since the tokenizer
            takes them for real ones.
        unread: columns that no format reads, and keys of messages (`messages[].key`) that no template reads, each
            with the rows that have a value in it.
        ends: what the last learned answers, and texts, end with: special tokens, or a template's words.
        tokens: real ones.
        supervised_tokens: those with a weight above 0.
        by_role: both, by speaker (all of SPEAKERS): `template` is the text that the chat template writes around the
            messages, `text` is rows of plain text. A supervised turn's end counts as the speaker's.
        weighted: supervised tokens with another weight than 1.
        lengths: of the examples, in tokens.
        longest: the tokens of the longest example.
        largest_id: the largest token id, which the model's vocabulary must hold.
        formats: rows of each format.
        format_lines: the first lines of each format.
        duplicates: rows that repeat an earlier one, token by token.
        duplicate_lines: the first of them.
        overlap: examples of this split that also stand in train.
        overlap_lines: the first of them.
        sources: what each source gives to the split; empty for a held-out split.
    """

    rows: int
    examples: int
    tokens: int
    supervised_tokens: int
    by_role: dict[str, Share]
    weighted: Remark
    lengths: Lengths
    longest: int
    largest_id: int
    duplicates: int = 0
    duplicate_lines: tuple[int, ...] = ()
    overlap: int = 0
    overlap_lines: tuple[int, ...] = ()
    formats: dict[str, int] = Field(default_factory=dict)
    format_lines: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    dropped: dict[str, Remark] = Field(default_factory=dict)
    lost: dict[str, Remark] = Field(default_factory=dict)
    notes: dict[str, Remark] = Field(default_factory=dict)
    specials: dict[str, Remark] = Field(default_factory=dict)
    unread: dict[str, Remark] = Field(default_factory=dict)
    ends: dict[str, int] = Field(default_factory=dict)
    sources: tuple[SourceStats, ...] = ()


def split_stats(
    index: NDArray[np.int64],
    pool: tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.uint8]],
    tally: Tally,
    shared: NDArray[np.bool_],
) -> SplitStats:
    """Counts one split; its tokens are read once, a window of the pool at a time.

    Args:
        index: the split's index.
        pool: the ids, weights and speakers that it points into.
        tally: the counts of the split's rows.
        shared: whether each example stands in train too; empty for train.
    """
    counts, weighted, largest = np.zeros((2, len(SPEAKERS)), np.int64), Remark(), 0
    rows_in_order = index[np.argsort(index[:, START], kind="stable")]
    for rows in np.split(rows_in_order, np.flatnonzero(np.diff(rows_in_order[:, START] // _WINDOW)) + 1):
        first, last = rows[0, START], rows[:, STOP].max()
        # How often the split holds each token of the window: +1 where an example starts, -1 behind its end, summed up.
        # A held-out split has gaps, and a mixture may repeat an example.
        times = np.bincount(rows[:, START] - first, minlength=last - first + 1)
        times = np.cumsum(times - np.bincount(rows[:, STOP] - first, minlength=len(times)))[:-1]
        ids, weights, speakers = (part[first:last] for part in pool)
        kinds = speakers + np.uint8(len(SPEAKERS)) * (weights > 0)
        counts += np.bincount(kinds, times, counts.size).astype(np.int64).reshape(counts.shape)
        largest = max(largest, int(ids[times > 0].max()))
        odd = np.flatnonzero((times > 0) & (weights != 0) & (weights != 1))
        lines = rows[np.searchsorted(rows[:, START] - first, odd[: 1 << 12], side="right") - 1, LINE]
        weighted = weighted.plus(int(times[odd].sum()), tuple(lines.tolist()))
    lengths = describe_lengths(index[:, STOP] - index[:, START])
    again = duplicates(index[:, LINE], index[:, DIGEST])
    return SplitStats(
        rows=tally.rows,
        examples=len(index),
        tokens=int(counts.sum()),
        supervised_tokens=int(counts[1].sum()),
        by_role={
            name: Share(tokens=int(plain + learned), supervised_tokens=int(learned))
            for name, plain, learned in zip(SPEAKERS, *counts, strict=True)
        },
        weighted=weighted,
        lengths=lengths,
        longest=lengths.max,
        largest_id=largest,
        duplicates=len(again),
        duplicate_lines=tuple(again[:FIRST_LINES].tolist()),
        overlap=int(shared.sum()),
        overlap_lines=tuple(index[: len(shared)][shared][:FIRST_LINES, LINE].tolist()),
        formats={name: remark.count for name, remark in tally.formats.items()},
        format_lines={name: remark.lines for name, remark in tally.formats.items()},
        unread={name: Remark(count=column.count, lines=column.lines) for name, column in tally.unread.items()},
        ends=dict(sorted(((end, r.count) for end, r in tally.ends.items()), key=lambda item: (-item[1], item[0]))),
        **{name: getattr(tally, name) for name in ("dropped", "lost", "notes", "specials")},
    )
