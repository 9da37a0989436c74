"""Truncation and splitting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.render.truncate import split, truncate
from tasks.errors import DataError


def test_an_error_has_both_lengths():
    with pytest.raises(DataError, match=r"has 3 tokens and data\.max_tokens is 2"):
        truncate([1, 2, 3], [0.0, 1.0, 1.0], 2, "error")


@given(st.integers(1, 60), st.integers(2, 20))
def test_every_token_is_a_target_once(count: int, most: int):
    ids, weights = list(range(count)), [0.0] + [1.0] * (count - 1)
    pieces = split(ids, weights, most)
    assert all(1 <= len(piece) <= most and len(piece) == len(own) for piece, own in pieces)
    targets = [token for piece, own in pieces for token, weight in zip(piece, own, strict=True) if weight]
    assert targets == ids[1:]
