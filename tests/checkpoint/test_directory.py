import json
import logging
import shutil

import mlx.core as mx
import pytest

from tasks.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from tests.tiny import same


def state(step: int) -> Checkpoint:
    arrays = {"b.m": mx.arange(6).reshape(2, 3).astype(mx.float32) * step, "a": mx.array([step], mx.uint64)}
    return Checkpoint(step, arrays, {"tokens": 10 * step, "loss_last": 0.1 + 0.2, "loss_first": None})


def test_what_was_saved_is_what_is_found(tmp_path):
    save_checkpoint(tmp_path, state(7), keep=2)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, found.counters) == (7, state(7).counters)
    assert found.arrays.keys() == {"a", "b.m"}
    assert all(same(found.arrays[name], array) for name, array in state(7).arrays.items())


def test_there_may_be_none(tmp_path):
    assert newest_checkpoint(tmp_path / "absent") is None
    (tmp_path / "start").mkdir()
    (tmp_path / "step-abc").mkdir()
    assert newest_checkpoint(tmp_path) is None


def test_the_newest_is_so_by_its_number_and_the_newest_stay(tmp_path):
    for step in (5, 999_999, 1_000_001, 20):
        save_checkpoint(tmp_path, state(step), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1000001", "step-999999"]
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 1_000_001


def _flip(path):
    content = bytearray((path / "state.safetensors").read_bytes())
    content[-1] ^= 1
    (path / "state.safetensors").write_bytes(bytes(content))


DAMAGE = {
    "a flipped bit": _flip,
    "a truncated file": lambda path: (path / "state.safetensors").write_bytes(b""),
    "no arrays": lambda path: (path / "state.safetensors").unlink(),
    "no manifest": lambda path: (path / "manifest.json").unlink(),
    "a torn manifest": lambda path: (path / "manifest.json").write_text('{"kind": "check'),
    "an empty manifest": lambda path: (path / "manifest.json").write_text("{}"),
    "an empty directory": lambda path: (shutil.rmtree(path), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_named_and_passed_over(damage, tmp_path, caplog):
    save_checkpoint(tmp_path, state(10), keep=2)
    newest = save_checkpoint(tmp_path, state(20), keep=2)
    DAMAGE[damage](newest)
    with caplog.at_level(logging.WARNING):
        found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 10
    assert str(newest) in caplog.text


def test_a_save_that_fails_leaves_those_before(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, state(10), keep=1)
    monkeypatch.setattr("tasks.artifact.write_json", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(tmp_path, state(20), keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010"]


def test_a_leftover_of_a_killed_run_is_not_a_checkpoint(tmp_path):
    save_checkpoint(tmp_path, state(10), keep=1)
    shutil.copytree(tmp_path / "step-000010", tmp_path / ".step-000020.123.tmp")
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 10


def test_the_manifest_says_what_it_is(tmp_path):
    manifest = json.loads((save_checkpoint(tmp_path, state(3), keep=1) / "manifest.json").read_text())
    assert (manifest["kind"], manifest["step"], list(manifest["files"])) == ("checkpoint", 3, ["state.safetensors"])
