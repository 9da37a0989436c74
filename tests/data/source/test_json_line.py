"""Strict JSON: what another reader would take differently, or lose, is refused with file and line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.source.json_line import decode_row, parse_json
from tasks.errors import DataError


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a', "not JSON: Unterminated string"),
        (b'{"text": "a",}', "not JSON"),
        (b"{", "pretty-printed"),
        (b'{"text": "a", "text": "b"}', "'text' stands twice"),
        (b'{"weight": NaN}', "NaN is not JSON"),
        (b'{"weight": -Infinity}', "-Infinity is not JSON"),
        (b'{"weight": 1e999}', "1e999 is too large"),
        (b'{"text": "\\ud800"}', "half of a surrogate pair"),
        (b'{"text": "\\uDFff x"}', "half of a surrogate pair"),
        (b'{"text": "a\x00b"}', "NUL"),
        ('{"text": "é"}'.encode("latin-1"), "0xe9"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "not JSON"),
    ],
)
def test_refused_with_line_and_reason(line: bytes, reason: str):
    with pytest.raises(DataError) as caught:
        decode_row(line, "a.jsonl", 7)
    assert str(caught.value).startswith("a.jsonl:7: ")
    assert reason in str(caught.value)


def test_a_whole_surrogate_pair_and_an_escaped_backslash_are_text():
    assert parse_json('"\\ud83e\\udd73"') == "🥳"
    assert parse_json('"\\\\ud800"') == "\\ud800"


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(_TEXT, st.one_of(st.none(), st.booleans(), st.integers(), _TEXT, st.lists(_TEXT))))
def test_agrees_with_json_on_what_it_accepts(row: dict):
    line = json.dumps(row, ensure_ascii=False).encode()
    if b"\x00" not in line:
        assert decode_row(line, "a.jsonl", 1) == row


def test_a_line_that_ends_too_early_is_pointed_at_where_it_ends():
    with pytest.raises(DataError, match=r"a\.jsonl:4: not JSON: Expecting value at column 15"):
        decode_row(b'{"messages": [\n', "a.jsonl", 4)
