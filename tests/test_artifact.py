import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.artifact import (
    Record,
    atomic_directory,
    damaged_files,
    file_digest,
    fingerprint,
    is_disk_full,
    read_manifest,
    remove_directory,
    sweep,
    write_json,
    write_text,
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Point(Record):
    x: int
    y: float = 0.0


@given(plain)
def test_a_fingerprint_survives_json_and_the_order_of_keys(value):
    def backwards(v):
        if isinstance(v, dict):
            return {k: backwards(v[k]) for k in reversed(v)}
        return tuple(map(backwards, v)) if isinstance(v, list) else v

    assert fingerprint(value) == fingerprint(json.loads(json.dumps(value))) == fingerprint(backwards(value))


@given(plain, plain)
def test_two_values_of_one_fingerprint_are_one_json(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (fingerprint(one, 64) == fingerprint(other, 64)) is same


def test_a_record_has_the_fingerprint_of_its_fields():
    assert fingerprint(Point(x=1)) == fingerprint({"x": 1, "y": 0.0}) != fingerprint(Point(x=2))
    assert len(fingerprint(Point(x=1))) == 16


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, [b"bytes"], Path("p"), {"a": {1, 2}}, print], ids=str)
def test_what_has_no_content_to_write_down_has_no_fingerprint(value):
    with pytest.raises(TypeError, match="fingerprint"):
        fingerprint(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nor_has_a_number_that_is_none(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint([value])


@pytest.mark.parametrize("wrong", [{"x": 1.0}, {"x": "1"}, {"x": True}, {"x": 1, "z": 0}, {"x": 1, "y": float("nan")}])
def test_a_record_is_strict(wrong):
    with pytest.raises(ValueError, match="validation error"):
        Point.model_validate(wrong)


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


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"é": [1, 2]})
    assert json.loads(path.read_text("utf-8")) == {"é": [1, 2]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text("utf-8")) == {"é": [1, 2]}


def test_a_text_that_could_not_be_put_in_place_leaves_nothing(tmp_path, monkeypatch):
    write_text(tmp_path / "a", "before")

    def fail(*_):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        write_text(tmp_path / "a", "after")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "before"}


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
    assert sorted(sweep(tmp_path)) == ["a", "a", "b", "c", "config.yaml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".keep", "a", "b"]
    assert damaged_files(tmp_path / "a") == damaged_files(tmp_path / "b") == []
    assert sweep(tmp_path) == sweep(tmp_path / "absent") == []


def test_a_directory_is_removed_whole(tmp_path):
    write(tmp_path / "a", one="1")
    remove_directory(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_however_it_is_said():
    assert is_disk_full(OSError(errno.ENOSPC, "no room"))
    assert not is_disk_full(OSError(errno.EACCES, "no"))
    assert is_disk_full(RuntimeError("I/O error: No space left on device (os error 28)"))
    wrapped = RuntimeError("could not save")
    wrapped.__cause__ = OSError(errno.EDQUOT, "quota")
    assert is_disk_full(wrapped)
    assert not is_disk_full(ValueError("loss"))
