"""Blocks: the same rows wherever they end, and a line that has no end."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.source import blocks
from tasks.data.source.read import read_rows, source_blocks
from tasks.errors import DataError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "SIZE", 64)


LINES = st.lists(
    st.sampled_from(["", " ", '{"text": "a"}', '{"text": "' + "b" * 90 + '"}', "{]", "\ufeff", "\r"]), max_size=30
)


@given(LINES, st.integers(1, 200))
def test_where_blocks_end_changes_nothing(tmp_path_factory: pytest.TempPathFactory, lines: list[str], size: int):
    path = tmp_path_factory.mktemp("blocks") / "a.jsonl"
    path.write_bytes(("\n".join(lines) + '\n{"text": "z"}').encode())
    expected = [(number, str(row)) for number, row in read_rows(str(path))]
    before, blocks.SIZE = blocks.SIZE, size
    try:
        assert [(number, str(row)) for number, row in read_rows(str(path))] == expected
    finally:
        blocks.SIZE = before


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.jsonl.gz"])
def test_every_kind_of_file_comes_in_several(tmp_path: Path, name: str):
    rows = [{"text": f"row {n}"} for n in range(50)]
    text = {
        "a.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "a.json": json.dumps(rows, indent=1),
        "a.csv": "text\n" + "".join(row["text"] + "\n" for row in rows),
    }[name.removesuffix(".gz")]
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    found = list(source_blocks(str(tmp_path / name)))
    assert len(found) > 5
    assert [row for block in found for _, row in block.rows()] == rows
    lines = [line for block in found for line, _ in block.rows()]
    assert lines == sorted(set(lines))


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blocks, "LONGEST", 1 << 10)
    monkeypatch.setattr(blocks, "SIZE", 1 << 8)
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n' + b"x" * (1 << 12))
    with pytest.raises(DataError, match=r"a\.jsonl:2: the line is longer"):
        list(read_rows(str(tmp_path / "a.jsonl")))


def test_an_array_may_begin_on_a_later_line(tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(b'\n \n[\n{"text": "a"}]\n')
    assert list(read_rows(str(tmp_path / "a.jsonl"))) == [(4, {"text": "a"})]
