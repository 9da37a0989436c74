"""Files that a pattern or a folder stands for."""

from pathlib import Path

import pytest

from tasks.data.source.file_names import files_of, is_pattern


def test_a_folder_by_the_names_of_its_splits(tmp_path: Path):
    names = ["train-00001-of-00002.parquet", "train-00000-of-00002.parquet", "dev.jsonl.zst", "test/a.csv", "README.md"]
    names += ["training_notes.txt.bak", ".train.jsonl", "data/train_2.json"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")

    def found(split: str) -> list[str]:
        return [str(Path(file).relative_to(tmp_path)) for file in files_of(str(tmp_path), split)]

    assert found("train") == ["data/train_2.json", *sorted(names[:2])]
    assert (found("valid"), found("test")) == (["dev.jsonl.zst"], ["test/a.csv"])


def test_a_pattern_by_name_and_a_file_with_brackets(tmp_path: Path):
    for name in ("b.jsonl", "a.jsonl", "c[1].jsonl"):
        (tmp_path / name).write_text("x")
    assert [Path(file).name for file in files_of(str(tmp_path / "?.jsonl"), "train")] == ["a.jsonl", "b.jsonl"]
    assert files_of(str(tmp_path / "c[1].jsonl"), "train") == []
    assert not is_pattern(str(tmp_path / "c[1].jsonl"))


@pytest.mark.parametrize("path", ["a.jsonl", "owner/name", "no/such/folder"])
def test_what_stands_for_itself(path: str):
    assert files_of(path, "train") == []
