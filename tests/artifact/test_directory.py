import os
from pathlib import Path

import pytest

from tasks.artifact import (
    atomic_directory,
    clear_leftovers,
    damaged_files,
    file_digest,
    read_manifest,
    remove_directory,
)


def write(path: Path, **files: str) -> None:
    manifest: dict = {"kind": "test"}
    with atomic_directory(path, manifest) as folder:
        for name, text in files.items():
            (folder / name).write_text(text)
        (folder / "deep").mkdir()
        (folder / "deep" / "er").write_text("x")
        manifest["count"] = len(files)


def test_a_directory_is_sealed_with_what_is_in_it(tmp_path):
    write(tmp_path / "a" / "b", one="1", two="2")
    manifest = read_manifest(tmp_path / "a" / "b")
    assert manifest is not None
    assert (manifest["kind"], manifest["count"], sorted(manifest["files"])) == ("test", 2, ["deep/er", "one", "two"])
    assert manifest["files"]["one"] == file_digest(tmp_path / "a" / "b" / "one")
    assert damaged_files(tmp_path / "a" / "b") == []
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_it_replaces_what_stood_there_whole(tmp_path):
    write(tmp_path / "a", one="1")
    write(tmp_path / "a", two="2")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["deep", "manifest.json", "two"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def _write_half(path: Path, error: type[BaseException]) -> None:
    with atomic_directory(path, {}) as folder:
        (folder / "half").write_text("?")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_on_an_exception_all_is_as_before(error, tmp_path):
    write(tmp_path / "a", one="1")
    for name in ("a", "new"):
        with pytest.raises(error):
            _write_half(tmp_path / name, error)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert damaged_files(tmp_path / "a") == []


def test_damaged_and_missing_files_are_named(tmp_path):
    write(tmp_path, one="1", two="2", three="3")
    (tmp_path / "one").write_text("I")
    (tmp_path / "two").unlink()
    assert sorted(damaged_files(tmp_path)) == ["one", "two"]


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"files": 3}', "\udcff"])
def test_a_torn_manifest_is_none(text, tmp_path):
    if text is not None:
        (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_manifest(tmp_path) is None
    assert damaged_files(tmp_path) == []


def test_a_sweep_puts_back_what_was_to_be_replaced_and_removes_the_rest(tmp_path):
    write(tmp_path / "a", one="1")
    write(tmp_path / "b", one="1")
    os.replace(tmp_path / "a", tmp_path / ".a.77.old")
    write(tmp_path / "c", one="1")
    os.replace(tmp_path / "c", tmp_path / ".c.77.gone")
    for name in (".a.77.tmp", ".b.77.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("?")
    (tmp_path / ".config.yaml.77.tmp").write_text("half")
    (tmp_path / ".keep").write_text("a person's own")
    assert sorted(clear_leftovers(tmp_path)) == ["a", "a", "b", "c", "config.yaml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".keep", "a", "b"]
    assert damaged_files(tmp_path / "a") == damaged_files(tmp_path / "b") == []
    assert clear_leftovers(tmp_path) == clear_leftovers(tmp_path / "absent") == []


def test_a_directory_is_removed_whole(tmp_path):
    write(tmp_path / "a", one="1")
    remove_directory(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
