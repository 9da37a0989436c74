"""Digests are remembered while nothing was written to a file, and only then."""

import os
import time
from pathlib import Path

import pytest

from tasks.artifact import file_digest
from tasks.data.sources import Source
from tasks.data.store import digests
from tasks.data.store.digests import Digests, source_digest
from tasks.errors import DataError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(digests, "_SETTLED", -(10**18))  # no need to wait
    (tmp_path / "a").write_bytes(b"abc")
    return tmp_path / "a"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []
    monkeypatch.setattr(digests, "file_digest", lambda path: seen.append(path) or file_digest(path))
    return seen


def ask(file: Path) -> str:
    memory = Digests(file.parent / "memory.json")
    digest = memory.digest(file)
    memory.save()
    return digest


def test_it_is_read_once(file: Path, read: list[Path]):
    assert ask(file) == ask(file) == file_digest(file)
    assert len(read) == 1


def test_every_write_is_noticed_also_one_that_sets_the_time_back(file: Path, read: list[Path]):
    first, before = ask(file), file.stat()
    time.sleep(0.02)
    file.write_bytes(b"abd")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert ask(file) != first
    aside = file.with_name("b")
    aside.write_bytes(b"abc")
    os.replace(aside, file)
    assert ask(file) == first
    assert len(read) == 3


def test_a_file_changed_a_moment_ago_is_not_remembered(tmp_path: Path, read: list[Path]):
    (tmp_path / "a").write_bytes(b"abc")
    ask(tmp_path / "a")
    ask(tmp_path / "a")
    assert len(read) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 3}', "null"])
def test_a_damaged_memory_is_no_memory(file: Path, read: list[Path], content: str):
    (file.parent / "memory.json").write_text(content)
    assert ask(file) == file_digest(file)
    assert len(read) == 1


def test_what_this_process_wrote_is_believed(file: Path, read: list[Path]):
    memory = Digests(file.parent / "memory.json")
    memory.believe(file, "d" * 64)
    assert memory.digest(file) == "d" * 64
    assert not read


def test_a_file_that_grows_while_it_is_read(file: Path, monkeypatch: pytest.MonkeyPatch):
    def grown(path: Path) -> str:
        path.write_bytes(b"abcd")
        return "x"

    monkeypatch.setattr(digests, "file_digest", grown)
    with pytest.raises(DataError, match="changed while it was read"):
        ask(file)


def test_a_source(file: Path):
    assert source_digest(Source(path=str(file)), Digests(file.parent / "m")) == file_digest(file)
    with pytest.raises(DataError, match="no such file"):
        source_digest(Source(path=str(file) + ".jsonl"), Digests(file.parent / "m"))
