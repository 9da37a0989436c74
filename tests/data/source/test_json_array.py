"""JSON arrays, element by element."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.source import json_array as array
from tasks.data.source.json_array import read_array
from tasks.errors import DataError


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=40), max_size=3)), st.integers(1, 40))
def test_any_chunk_size_reads_the_same(rows: list[dict], chunk: int):
    rows = json.loads(json.dumps(rows).replace("\\u0000", "x").replace("\\ud", "\\u0"))
    old, array._CHUNK = array._CHUNK, chunk
    try:
        read = read_array(io.BytesIO(json.dumps(rows, indent=1).encode()), "a.json")
        assert [row for _, row in read] == rows
    finally:
        array._CHUNK = old


def test_elements_are_numbered_by_their_line():
    assert [line for line, _ in read_array(io.BytesIO(b'[\n{"a":\n1},\n\n{"a": 2}]\n'), "a.json")] == [2, 5]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'[{"a": 1}', "end of the file"),
        (b'[{"a": 1} {"a": 2}]', "must be"),
        (b'[{"a": 1},]', "must be"),
        (b'[,{"a": 1}]', "must be"),
        (b'[{"a": 1}', "cut off"),
        (b'[{"a": "', "not JSON: Unterminated string"),
        (b"[", "cut off"),
        (b'[{"a": 1}] x', "follows"),
        (b'[{"a": }]', "not JSON"),
        (b'[{"a": "\xe9"}]', "not UTF-8"),
    ],
)
def test_broken_arrays_are_refused(content: bytes, reason: str):
    with pytest.raises(DataError, match=reason):
        list(read_array(io.BytesIO(content), "a.json"))


def test_a_bad_element_is_passed_on():
    read = list(read_array(io.BytesIO(b'[{"a": 1, "a": 2}, {"a": NaN}, {"a": 3}]'), "a.json"))
    assert [isinstance(row, DataError) for _, row in read] == [True, True, False]


def test_elements_of_any_kind_are_passed_on():
    assert [row for _, row in read_array(io.BytesIO(b'[1, "a", null, [2], 12.5]'), "a.json")] == [
        1,
        "a",
        None,
        [2],
        12.5,
    ]


def test_the_file_is_not_read_to_its_end_for_an_element_that_is_broken():
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert self.tell() < 1 << 22, "too much was read"
            return super().read(size)

    rows = read_array(Endless(b'[{"a": 1},\n{"a": x},\n' + b'{"a": 1},\n' * (1 << 20)), "a.json")
    with pytest.raises(DataError, match=r"a\.json:2: not JSON"):
        list(rows)


def test_an_element_without_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(array, "_LONGEST", 1 << 22)
    with pytest.raises(DataError, match="longer than 4 MiB"):
        list(read_array(io.BytesIO(b'[{"a": "' + b"x" * (1 << 24)), "a.json"))
