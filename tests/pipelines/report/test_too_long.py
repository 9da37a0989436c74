"""Rows beyond a limit: what each way of data.truncate leaves, and the line to paste."""

import re
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pipelines.report.too_long import Left, show_too_long, what_is_left


class Rows:
    """Examples of these lengths, of which the last two tokens are targets."""

    def __init__(self, *lengths: int, supervised: int = 2):
        self.lengths, self.lines = np.array(lengths), np.arange(1, len(lengths) + 1)
        self.supervised = supervised

    def __len__(self) -> int:
        return len(self.lengths)

    def weights(self, i: int) -> Any:
        weights = np.zeros(self.lengths[i], np.float32)
        weights[-self.supervised :] = 1
        return weights


def _shown(rows: Any, limit: int, *, texts: bool = False) -> str:
    out = StringIO()
    show_too_long(rows, limit, Console(file=out, width=80), texts=texts)
    return out.getvalue()


def test_each_way_is_counted() -> None:
    rows: Any = Rows(5, 9, 12)
    assert what_is_left(rows, 8, texts=False) == [
        Left("drop", 1, 2),
        Left("keep_start", 3, 3, 1),  # of 9 tokens the last but one is a target and stays
        Left("keep_end", 3, 6),
    ]


def test_text_is_split_as_tokenizing_splits_it() -> None:
    from tasks.data.render.truncate import split

    rows: Any = Rows(5, 9, 12)
    pieces = sum(len(split([*range(n)], [1.0] * n, 8)) for n in (5, 9, 12))
    assert what_is_left(rows, 8, texts=True)[-1] == Left("split", pieces, 6)
    assert "to paste: data.max_tokens=8 data.truncate=split" in _shown(rows, 8, texts=True)


def test_what_is_shown_fits_80_columns_and_can_be_pasted() -> None:
    shown = _shown(Rows(5, 9, 12), 8)
    assert shown.startswith("2 of 3 train examples are longer than 8 tokens\nthe longest, line 3, has 12\n")
    assert "to paste: data.max_tokens=8 data.truncate=drop\n" in shown
    assert all(re.search(rf"{way} +│", shown) for way in ("error", "drop", "keep_start", "keep_end"))
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("lengths", "supervised", "words"),
    [((9, 12), 2, "data.truncate=keep_end"), ((9, 12), 0, "data.max_tokens=8 is too short")],
)
def test_where_dropping_leaves_nothing(lengths: tuple[int, ...], supervised: int, words: str) -> None:
    rows = Rows(*lengths, supervised=supervised or 1)
    if not supervised:
        rows.weights = lambda i: np.zeros(rows.lengths[i], np.float32)  # pyright: ignore
    assert words in _shown(rows, 8)


def test_nothing_is_said_where_nothing_is_too_long() -> None:
    assert _shown(Rows(5, 8), 8) == ""
