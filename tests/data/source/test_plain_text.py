"""Files of plain text."""

from pathlib import Path

import pytest

from tasks.data.source import plain_text
from tasks.data.source.read import read_rows
from tasks.errors import DataError

TEXT = "\n\nOne.\nTwo.\r\n\r\n \n\nThree.\n"


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("file", [(3, "One.\nTwo.\n\n \n\nThree.")]),
        ("paragraph", [(3, "One.\nTwo."), (8, "Three.")]),
        ("line", [(3, "One."), (4, "Two."), (8, "Three.")]),
    ],
)
def test_what_a_row_is(tmp_path: Path, rows: str, found: list):
    (tmp_path / "a.txt").write_bytes(TEXT.encode())
    read = list(read_rows(str(tmp_path / "a.txt"), text_rows=rows))
    assert [(line, row["text"]) for line, row in read] == found


def test_a_text_of_another_encoding_and_one_without_words(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    ((line, error),) = read_rows(str(tmp_path / "a.txt"))
    assert (line, "not UTF-8" in str(error)) == (1, True)
    (tmp_path / "a.txt").write_bytes(b" \n \n")
    with pytest.raises(DataError, match="no rows"):
        list(read_rows(str(tmp_path / "a.txt")))


def test_a_text_beyond_the_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plain_text, "LONGEST", 8)
    (tmp_path / "a.txt").write_bytes(b"123456789")
    with pytest.raises(DataError, match="text_rows=paragraph"):
        list(read_rows(str(tmp_path / "a.txt")))
