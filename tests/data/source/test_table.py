"""CSV and Parquet."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.data.source.read import read_rows
from tasks.errors import DataError


def test_csv_cells_and_nested_json(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text('\ufeffprompt,completion\n"a\nb","[{""role"": ""assistant"", ""content"": ""c""}]"\n', "utf-8")
    row = {"prompt": "a\nb", "completion": [{"role": "assistant", "content": "c"}]}
    assert list(read_rows(str(path))) == [(3, row)]


def test_csv_rows_of_another_width(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("prompt,completion\na\nb,c\n")
    (_, error), (line, row) = read_rows(str(path))
    assert "1 cells, the header 2" in str(error)
    assert (line, row) == (3, {"prompt": "b", "completion": "c"})


def test_csv_not_utf8_and_a_column_named_twice(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text\n\xe9\n")
    with pytest.raises(DataError, match="not CSV in UTF-8"):
        list(read_rows(str(path)))
    path.write_text("text,text\na,b\n")
    with pytest.raises(DataError, match="twice"):
        list(read_rows(str(path)))


def test_parquet(tmp_path: Path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    path = tmp_path / "a.parquet"
    rows = [{"text": "a", "messages": None}, {"text": None, "messages": [{"role": "user", "content": "b"}]}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert [row for _, row in read_rows(str(path))] == [{"text": "a"}, {"messages": rows[1]["messages"]}]
    path.write_bytes(b"PAR1 not")
    with pytest.raises(DataError, match="not a Parquet file"):
        list(read_rows(str(path)))


def test_hub(monkeypatch: pytest.MonkeyPatch):
    asked = []

    class Loaded(list):
        _fingerprint = "f"

    def load(name: str, config: str | None, split: str) -> Loaded:
        asked.append((name, config, split))
        if name == "owner/gone":
            raise FileNotFoundError("no such dataset\nand more of it")
        return Loaded([{"text": "a", "other": None}])

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load))
    assert list(read_rows("owner/name:config", "validation")) == [(1, {"text": "a"})]
    assert asked == [("owner/name", "config", "validation")]
    with pytest.raises(DataError, match="owner/gone:main: the hub dataset cannot be read: FileNotFoundError") as caught:
        list(read_rows("owner/gone:main"))
    assert "load_dataset('owner/gone', 'main')" in str(caught.value), "the command that gets it"
    assert "\n" not in str(caught.value)


def test_a_csv_weight_is_a_number(tmp_path: Path):
    (tmp_path / "a.csv").write_text("text,weight\na,0.5\nb,heavy\n")
    assert [row["weight"] for _, row in read_rows(str(tmp_path / "a.csv"))] == [0.5, "heavy"]


def test_nulls_that_a_table_fills_in_are_taken_out_at_every_depth(tmp_path: Path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [
        {"tools": [{"name": "f", "parameters": {"a": {"type": "string"}}}], "calls": [{"arguments": {"a": "x"}}]},
        {"tools": [{"name": "g", "parameters": {"b": {"type": "int"}}}], "calls": [{"arguments": {"b": [1, None]}}]},
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert [row for _, row in read_rows(str(tmp_path / "a.parquet"))] == rows


def test_a_dataset_saved_to_disk_whole_and_by_splits(tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    saved = datasets.Dataset.from_list([{"text": "a", "b": None}, {"text": "c", "b": 1}])
    saved.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict(train=saved, validation=saved.select([1])).save_to_disk(str(tmp_path / "all"))
    assert [row for _, row in read_rows(str(tmp_path / "one"))] == [{"text": "a"}, {"text": "c", "b": 1}]
    assert len(list(read_rows(str(tmp_path / "all"), "train"))) == 2
    assert list(read_rows(str(tmp_path / "all"), "valid")) == [(1, {"text": "c", "b": 1})]
    with pytest.raises(DataError, match="no split 'extra' of this saved dataset; there is train, validation"):
        list(read_rows(str(tmp_path / "all"), "extra"))


def test_a_csv_cell_of_any_length_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasks.data.source.table.LONGEST", 1000)
    path = tmp_path / "a.csv"
    for cell, said in (("x" * 5000, r"a\.csv:2: the line is longer"), ('"' + "x\n" * 2000 + '"', "field larger than")):
        path.write_text(f"text\n{cell}\n")
        with pytest.raises(DataError, match=said):
            list(read_rows(str(path)))


def test_parquet_of_garbage_and_cells_that_are_no_text(tmp_path: Path):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + bytes(range(200)) + b"\x40\x00\x00\x00PAR1")
    with pytest.raises(DataError, match=r"a\.parquet: not a Parquet file: "):
        list(read_rows(str(path)))
    cells = pyarrow.array([b"good", b"\xff\xfe", b"better"], pyarrow.binary())
    text = pyarrow.Array.from_buffers(pyarrow.string(), 3, cells.buffers())
    pyarrow.parquet.write_table(pyarrow.table({"text": text}), path)
    first, (line, error), last = read_rows(str(path))
    assert (first, last) == ((1, {"text": "good"}), (3, {"text": "better"}))
    assert line == 2
    assert "a cell of the row cannot be read: 'utf-8' codec can't decode" in str(error)
