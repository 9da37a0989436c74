"""Reading files: line numbers, encodings, and the files that are refused."""

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.source.read import is_hub, read_rows
from tasks.errors import DataError

ROW = b'{"text": "a"}'


def rows(path: Path, content: bytes) -> list:
    path.write_bytes(content)
    return list(read_rows(str(path)))


def test_bom_crlf_blank_lines_and_no_last_line_end(tmp_path: Path):
    read = rows(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + ROW + b"\r\n\r\n" + ROW)
    assert read == [(1, {"text": "a"}), (3, {"text": "a"})]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_line_separators_inside_a_string_do_not_split_a_row(tmp_path: Path, separator: str):
    row = {"text": f"a{separator}b"}
    assert rows(tmp_path / "a.jsonl", json.dumps(row, ensure_ascii=False).encode() + b"\n" + ROW)[0] == (1, row)


def test_gzip_by_its_bytes_not_its_name(tmp_path: Path):
    assert rows(tmp_path / "a.jsonl", gzip.compress(ROW)) == [(1, {"text": "a"})]
    with pytest.raises(DataError, match="cut off"):
        rows(tmp_path / "b.jsonl.gz", gzip.compress(ROW * 100)[:-9])


def test_a_json_array_in_a_jsonl_file(tmp_path: Path):
    assert rows(tmp_path / "a.jsonl", b'[{"text": "a"},\n{"text": "b"}]')[1] == (2, {"text": "b"})


def test_a_bad_line_is_passed_on_and_reading_goes_on(tmp_path: Path):
    (_, first), (line, second) = rows(tmp_path / "a.jsonl", b"{]\n" + ROW)
    assert isinstance(first, DataError)
    assert (line, second) == (2, {"text": "a"})


def test_a_last_line_without_its_end_is_suspected(tmp_path: Path):
    _, error = rows(tmp_path / "a.jsonl", ROW + b'\n{"text": "a')[1]
    assert str(error).startswith(f"{tmp_path}/a.jsonl:2: ")
    assert "is the file cut off?" in str(error)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"\n \n", "no rows"), (b"[]", "no rows")],
)
def test_whole_files_refused(tmp_path: Path, content: bytes, reason: str):
    with pytest.raises(DataError, match=reason):
        rows(tmp_path / "a.jsonl", content)


_BITS = st.sampled_from(
    [ROW, b"\n", b"\r\n", b"[", b"]", b",", b"{", b'"', b"\\ud800", b"\x00", b"\xff", b"\xef\xbb\xbf", b" "]
)


@given(
    st.lists(_BITS | st.binary(max_size=4), max_size=12), st.booleans(), st.sampled_from(["jsonl", "csv", "parquet"])
)
def test_any_bytes_are_read_or_refused(tmp_path_factory, bits: list[bytes], zipped: bool, suffix: str):
    content = gzip.compress(b"".join(bits))[: -len(bits) or None] if zipped else b"".join(bits)
    path = tmp_path_factory.mktemp("fuzz") / f"a.{suffix}"
    try:
        read = rows(path, content)
    except DataError:
        return
    assert read
    assert all(number >= 1 for number, _ in read)


def test_missing_file_and_folder(tmp_path: Path):
    with pytest.raises(DataError, match="no such file"):
        list(read_rows(str(tmp_path / "a.jsonl")))
    with pytest.raises(DataError, match="a folder"):
        list(read_rows(str(tmp_path)))
    with pytest.raises(DataError, match="no file matches"):
        list(read_rows(str(tmp_path / "*.jsonl")))


def test_what_counts_as_a_hub_id():
    assert is_hub("owner/name")
    assert is_hub("owner/name:config")
    assert not is_hub("data/a.jsonl.zst")
    assert not is_hub("name.jsonl")
    assert not is_hub("a/b/c")


def test_a_pipe_is_there_and_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(DataError, match="no regular file"):
        list(read_rows(str(tmp_path / "pipe.jsonl")))
