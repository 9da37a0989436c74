"""Files of text, opened: what is proven is read, what is not is refused and never guessed."""

import bz2
import codecs
import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.source.open_text import open_text
from tasks.data.source.read import read_rows
from tasks.errors import DataError

TEXT = '{"text": "é€𝄞"}\n{"text": "b"}\n'
ROWS = [(1, {"text": "é€𝄞"}), (2, {"text": "b"})]


def zstd(content: bytes) -> bytes:
    import pyarrow

    out = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(out, "zstd") as packed:
        packed.write(content)
    return out.getvalue().to_pybytes()


def rows(path: Path, content: bytes, encoding: str | None = None) -> list:
    path.write_bytes(content)
    return list(read_rows(str(path), encoding=encoding))


@pytest.mark.parametrize("name", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd])
def test_a_byte_order_mark_proves_an_encoding(tmp_path: Path, name: str, pack):
    assert rows(tmp_path / "a.jsonl", pack(TEXT.encode(name))) == ROWS
    assert rows(tmp_path / "a.jsonl", pack(TEXT.replace("\n", "\r\n").encode(name))) == ROWS


@pytest.mark.parametrize(
    ("mark", "name"), [(codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le"), (b"", "utf-16-le")]
)
def test_either_order_and_by_name(tmp_path: Path, mark: bytes, name: str):
    assert rows(tmp_path / "a.jsonl", mark + TEXT.encode(name), None if mark else name) == ROWS
    assert rows(tmp_path / "b.jsonl", mark + TEXT.encode(name), name) == ROWS


def test_arrays_and_tables_too(tmp_path: Path):
    assert rows(tmp_path / "a.json", '[{"text": "é"}]'.encode("utf-16")) == [(1, {"text": "é"})]
    assert rows(tmp_path / "a.csv", "text\né\n".encode("utf-16")) == [(2, {"text": "é"})]
    assert rows(tmp_path / "b.csv", "text\né\n".encode("latin-1"), "latin-1") == [(2, {"text": "é"})]


def test_latin_1_is_read_where_it_is_named_and_never_guessed(tmp_path: Path):
    content = '{"text": "a"}\n{"text": "café"}\n'.encode("latin-1")
    (_, first), (_, error) = rows(tmp_path / "a.jsonl", content)
    assert first == {"text": "a"}
    assert str(error).startswith(
        f"{tmp_path}/a.jsonl:2: byte 14 of the line (0xe9) is not UTF-8; if the file is Latin-1"
    )
    assert "data.encoding=cp1252" in str(error)
    assert rows(tmp_path / "a.jsonl", content, "latin-1")[1] == (2, {"text": "café"})
    assert rows(tmp_path / "a.jsonl", '{"text": "“€”"}'.encode("cp1252"), "cp1252") == [(1, {"text": "“€”"})]


@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        (TEXT.encode("utf-16")[:-1], None, r":2: not utf-16 near this line: truncated data"),
        (codecs.BOM_UTF16_LE + b"\n\x00\x00\xd8\x41\x00", None, r":1: not utf-16 near this line: illegal"),
        (b'{"text": "\x81"}', "cp1252", "not cp1252 near this line"),
        (TEXT.encode("utf-16"), "latin-1", "mark of utf-16; data.encoding is latin-1"),
        (b"PAR1xxxx", None, "Parquet"),
        (b"PK\x03\x04xxxx", None, "zip"),
        (b"\x28\xb5\x2f\xfdxx", None, "the zstd file is cut off or damaged"),
        (bz2.compress(b"x" * 100)[:-5], None, "the bzip2 file is cut off or damaged"),
        (lzma.compress(b"x" * 100)[:-5], None, "the xz file is cut off or damaged"),
        (b"version https://git-lfs.github.com/spec/v1\n", None, "git lfs pull"),
        (b"<!DOCTYPE html>", None, "web page"),
        (gzip.compress(b"x" * 100)[:-5], None, "cut off"),
        (gzip.compress(b'{"text": "a"}\n') + b"tail", None, "damaged"),
    ],
)
def test_refused(tmp_path: Path, content: bytes, encoding: str | None, reason: str):
    with pytest.raises(DataError, match=reason) as caught:
        rows(tmp_path / "a.jsonl", content, encoding)
    assert str(caught.value).startswith(f"{tmp_path}/a.jsonl:")


def test_utf_16_without_its_mark_is_said_to_be_that(tmp_path: Path):
    ((line, error),) = rows(tmp_path / "a.jsonl", '{"text": "a"}'.encode("utf-16-le"))
    assert line == 1
    assert "data.encoding=utf-16-le" in str(error)


def test_carriage_returns_alone_end_lines_where_nothing_else_does(tmp_path: Path):
    content = b'{"text": "a"}\r\r{"text": "b\\r"}\r'
    assert rows(tmp_path / "a.jsonl", content) == [(1, {"text": "a"}), (3, {"text": "b\r"})]


def test_a_carriage_return_inside_a_cell_stays(tmp_path: Path):
    assert rows(tmp_path / "a.csv", b'text\r"a\rb"\r') == [(3, {"text": "a\rb"})]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), st.sampled_from(["utf-16", "utf-32", "utf-8"]))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str, name: str):
    path = tmp_path_factory.mktemp("opened") / "a.jsonl"
    path.write_bytes(("x\n" + text).encode(name))
    with open_text(path) as file:
        assert file.read().decode("utf-8") == "x\n" + text
