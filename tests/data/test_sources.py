"""One source of rows."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.data.sources import Source
from tasks.errors import DataError


def test_an_encoding_goes_by_its_own_name():
    assert Source(path="a", encoding="Latin1").encoding == "iso8859-1"
    assert Source(path="a", encoding="UTF-16LE").encoding == "utf-16-le"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"encoding": "klingon"}, "no text encoding"),
        ({"encoding": "rot13"}, "no text encoding"),
        ({"encoding": "unicode_escape"}, "no encoding of files"),
        ({"encoding": "hex"}, "no text encoding"),
        ({"weight": 0.0}, "greater than 0"),
        ({"split": ""}, "at least 1"),
        ({"columns": {"promt": "q"}}, "no names of ours"),
        ({"path": ""}, "at least 1"),
    ],
)
def test_refused(given: dict, reason: str):
    with pytest.raises(ValidationError, match=reason):
        Source.model_validate({"path": "a", **given})


def test_a_source_is_its_files(tmp_path: Path):
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).write_text("{}")
    source = Source(path=str(tmp_path / "*.jsonl"), columns={"text": "t"})
    assert [(Path(one.path).name, one.columns) for one in source.files("train")] == [
        ("a.jsonl", {"text": "t"}),
        ("b.jsonl", {"text": "t"}),
    ]
    assert Source(path="no-*.jsonl").files("train") == (Source(path="no-*.jsonl"),)
    with pytest.raises(DataError, match=r"a weight of 2 for 2 files"):
        Source(path=str(tmp_path / "*.jsonl"), weight=2.0).files("train")
