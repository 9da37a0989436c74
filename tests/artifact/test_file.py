import json
import os
from types import SimpleNamespace

import pytest

from tasks.artifact import write_json, write_text
from tasks.data.render.tokens import Tokens
from tasks.data.store.shard import write_shard
from tasks.data.store.tally import Tally
from tasks.sink import Jsonl, SinkContext


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


class Mac:
    """What stands for fcntl on a Mac, and records which handles reached the disk."""

    F_FULLFSYNC = 51

    def __init__(self) -> None:
        self.flushed: list[str] = []

    def fcntl(self, handle: int, command: int) -> None:
        assert command == self.F_FULLFSYNC
        self.flushed.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="names of open files are read from Linux's /proc")
def test_on_a_mac_metrics_and_shards_reach_the_disk_as_all_else_does(tmp_path, monkeypatch):
    mac = Mac()
    monkeypatch.setattr("tasks.artifact.file.fcntl", mac)
    write_json(tmp_path / "a.json", 1)
    assert [name.split(".")[1] for name in mac.flushed[:1]] == ["a"]
    assert mac.flushed[1:] == [tmp_path.name]
    sink = Jsonl(SinkContext(folder=tmp_path, last=1))
    mac.flushed.clear()
    sink.sync()
    sink.close("finished")
    assert mac.flushed == ["metrics.jsonl"]
    mac.flushed.clear()
    shard = write_shard(tmp_path, "train", 0, 0, [(1, 2, Tokens([7], [1.0]))], Tally(rows=1))
    files = [*shard.digests, "train.00000.done.json"]
    assert [name for name in mac.flushed if name != tmp_path.name] == [f".{name}.{os.getpid()}.tmp" for name in files]


def test_a_file_system_that_knows_no_full_sync_gets_an_ordinary_one(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("not supported")

    synced: list[int] = []
    monkeypatch.setattr("tasks.artifact.file.fcntl", SimpleNamespace(F_FULLFSYNC=51, fcntl=refuse))
    monkeypatch.setattr(os, "fsync", synced.append)
    write_text(tmp_path / "a", "text")
    assert len(synced) == 2
