"""Rows that are longer than a limit: how many, and what each way of data.truncate would leave of the split."""

from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from tasks.data.store.token_split import TokenSplit


@dataclass(frozen=True, slots=True)
class Left:
    """What a way of cutting leaves of a split.

    Args:
        truncate: a value of data.truncate.
        rows: that stay, or the pieces that they become.
        supervised: tokens that are still targets.
        empty: rows of which none is left: a strict run stops at the first.
    """

    truncate: str
    rows: int
    supervised: int
    empty: int = 0


def what_is_left(split: TokenSplit, limit: int, *, texts: bool) -> list[Left]:
    """What each way of cutting leaves of a split whose examples were not cut.

    Args:
        split: its examples.
        limit: tokens of the longest example.
        texts: whether all are rows of plain text, the only ones that `split` cuts.
    """
    beyond = np.flatnonzero(split.lengths > limit)
    weights = {int(i): split.weights(int(i)) > 0 for i in range(len(split))}
    whole = {i: int(weights[i].sum()) for i in weights}
    short = sum(whole.values()) - sum(whole[int(i)] for i in beyond)
    ways = {"drop": Left("drop", len(split) - len(beyond), short)}
    for way, part in (("keep_start", slice(1, limit)), ("keep_end", slice(1 - limit, None))):
        kept = [int(weights[int(i)][part].sum()) for i in beyond]
        ways[way] = Left(way, len(split), short + sum(kept), kept.count(0))
    if texts:
        pieces = sum(-(-(int(length) - 1) // (limit - 1)) for length in split.lengths[beyond])
        ways["split"] = Left("split", len(split) - len(beyond) + pieces, sum(whole.values()))
    return list(ways.values())


def show_too_long(split: TokenSplit, limit: int, console: Console, *, texts: bool) -> None:
    """Prints how many examples of train are beyond a limit, what may be done, and a line to paste; nothing if none is.

    Args:
        split: as for `what_is_left`.
        limit: as there.
        console: where to print.
        texts: as there.
    """
    lengths = split.lengths
    if not (beyond := int((lengths > limit).sum())):
        return
    longest = int(lengths.argmax())
    console.print(f"{beyond:,} of {len(split):,} train examples are longer than {limit:,} tokens", highlight=False)
    console.print(f"the longest, line {split.lines[longest]}, has {lengths[longest]:,}", highlight=False)
    table = Table("data.truncate", "leaves examples", "supervised tokens", "nothing left of")
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("error", "the run stops", "", "")
    ways = what_is_left(split, limit, texts=texts)
    for left in ways:
        table.add_row(left.truncate, f"{left.rows:,}", f"{left.supervised:,}", f"{left.empty:,}" if left.empty else "")
    console.print(table)
    whole = [left for left in ways if not left.empty and left.rows]
    if not whole:
        console.print(
            f"no way of cutting leaves rows to train on: data.max_tokens={limit} is too short", highlight=False
        )
        return
    best = max(whole, key=lambda left: (left.truncate == "split", left.truncate == "drop"))
    console.print(f"to paste: data.max_tokens={limit} data.truncate={best.truncate}", highlight=False)
