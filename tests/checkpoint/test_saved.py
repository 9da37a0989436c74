import json
import logging
import shutil
from dataclasses import replace

import mlx.core as mx
import pytest

from tasks.checkpoint import Checkpoint, best_checkpoint, newest_checkpoint, save_checkpoint
from tasks.errors import RunError
from tests.tiny import same


@pytest.fixture(autouse=True)
def _heard(caplog):
    caplog.set_level(logging.WARNING, "tasks")  # a command that ran before may have turned it down


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
    for step in (5, 20, 999_999, 1_000_001):
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
    monkeypatch.setattr("tasks.artifact.directory.write_json", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
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


def _kept(folder) -> list[int]:
    return sorted(int(path.name[5:]) for path in folder.iterdir())


def _save(folder, losses, **options):
    for step, loss in losses.items():
        save_checkpoint(folder, replace(state(step), valid_loss=loss), **options)


LOSSES = {10: 3.0, 20: 1.0, 30: None, 40: 2.0, 50: 1.0, 60: None}


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"keep": 1}, [60]),
        ({"keep": 2}, [50, 60]),
        ({"keep": 1, "best": True}, [20, 60]),
        ({"keep": 1, "every": 20}, [20, 40, 60]),
        ({"keep": 2, "best": True, "every": 40}, [20, 40, 50, 60]),
    ],
    ids=str,
)
def test_the_newest_the_best_and_each_so_many_th_stay(options, kept, tmp_path):
    _save(tmp_path, LOSSES, **options)
    assert _kept(tmp_path) == kept


def test_without_a_validation_there_is_no_best(tmp_path):
    _save(tmp_path, {10: None, 20: None}, keep=1, best=True)
    assert _kept(tmp_path) == [20]


def test_one_that_was_passed_over_does_not_take_the_place_of_the_next(tmp_path):
    save_checkpoint(tmp_path, state(10), keep=1)
    shutil.copytree(tmp_path / "step-000010", tmp_path / "step-000020")  # says that it is of step 10: damaged
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 10
    save_checkpoint(tmp_path, state(15), keep=1)
    assert _kept(tmp_path) == [15]


@pytest.mark.parametrize("place", range(12))
def test_a_bit_of_the_manifest_that_flipped_is_noticed(place, tmp_path, caplog):
    save_checkpoint(tmp_path, state(10), keep=2)
    changed = replace(state(20), counters={"tokens": 200, "loss_last": 0.125})  # where another digit is another number
    path = save_checkpoint(tmp_path, changed, keep=2) / "manifest.json"
    content = bytearray(path.read_bytes())
    digits = [n for n, byte in enumerate(content) if chr(byte).isdigit()]
    content[digits[place * len(digits) // 12]] ^= 1  # another digit, and JSON still
    path.write_bytes(bytes(content))
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 10
    assert str(path.parent) in caplog.text


def _say(path, **change) -> None:
    manifest = {**json.loads((path / "manifest.json").read_text()), **change}
    del manifest["seal"]
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("change", [{"kind": "adapter"}, {"step": 7}])
def test_what_is_no_checkpoint_of_its_step_is_passed_over(change, tmp_path, caplog):
    _say(save_checkpoint(tmp_path, state(20), keep=2), **change)
    assert newest_checkpoint(tmp_path) is None
    assert "not checkpoint of step 20" in caplog.text


def test_one_of_another_version_is_no_damage_and_not_to_be_written_over(tmp_path):
    save_checkpoint(tmp_path, state(10), keep=2)
    _say(save_checkpoint(tmp_path, state(20), keep=2), version=99)
    with pytest.raises(
        RunError, match=r"step-000020 was written by another version .* of version 99, this one reads 1"
    ):
        newest_checkpoint(tmp_path)


def test_one_that_only_a_signal_asked_for_stays_until_the_next_and_counts_for_none(tmp_path):
    for step in (10, 20, 23):
        save_checkpoint(tmp_path, replace(state(step), scheduled=step != 23), keep=1)
    assert _kept(tmp_path) == [20, 23]
    newest, due = newest_checkpoint(tmp_path), newest_checkpoint(tmp_path, scheduled=True)
    assert newest is not None
    assert due is not None
    assert (newest.step, newest.scheduled, due.step, due.scheduled) == (23, False, 20, True)
    save_checkpoint(tmp_path, state(30), keep=1)
    assert _kept(tmp_path) == [30]


def test_the_best_is_of_the_lowest_loss_and_the_earlier_of_two(tmp_path, caplog):
    assert best_checkpoint(tmp_path) is None
    _save(tmp_path, LOSSES, keep=9)
    found = best_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, found.valid_loss) == (20, 1.0)
    _flip(tmp_path / "step-000020")
    found = best_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 50
    assert "step-000020 is damaged" in caplog.text


def test_what_it_is_of_goes_with_it(tmp_path):
    save_checkpoint(tmp_path, replace(state(5), origin={"data": "abc"}, valid_loss=0.1 + 0.2), keep=1)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.origin, found.valid_loss) == ({"data": "abc"}, 0.1 + 0.2)
