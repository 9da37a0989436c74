"""Building: the same bytes however many workers, and what was complete before a kill is not done again."""

import os
import signal
import time
from pathlib import Path

import pytest

from tasks.data.source import blocks
from tasks.data.store import job
from tasks.errors import DataError
from tests.data.making import build, contents, pairs, start_build, write_rows

SIZE = 3000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(blocks, "SIZE", SIZE)
    write_rows(tmp_path / "train.jsonl", pairs(400))
    return tmp_path


def test_the_same_bytes_with_and_without_workers(folder: Path):
    alone = build(folder, workers=0)
    first = contents(alone)
    assert len([name for name in first if name.endswith(".tokens")]) > 4
    for path in alone.path.iterdir():
        path.unlink()
    assert contents(build(folder, workers=2)) == first
    assert build(folder, workers=1).reused, "how many workers there are is no part of what is made"


def test_an_error_is_that_of_the_first_row_whatever_worker_met_it(folder: Path):
    rows = pairs(400)
    rows[399], rows[150] = {"text": 1}, {"text": 2}
    write_rows(folder / "train.jsonl", rows)
    for workers in (0, 2):
        with pytest.raises(DataError, match=r"train\.jsonl:151: 'text' is"):
            build(folder, workers=workers)
    left = [path.name for path in (folder / "cache").iterdir() if path.is_dir() or path.name.endswith(".lock")]
    assert not left, "the same call would end there again"
    stats = build(folder, workers=2, strict=False).splits["train"]
    assert [remark.lines for remark in stats.dropped.values()] == [(151, 400)]


def test_killed_in_the_middle_it_goes_on_behind_the_shards_that_are_complete(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    write_rows(folder / "train.jsonl", pairs(4000))
    process = start_build(folder, SIZE, workers=1)
    (done,) = _wait(process, lambda: [list(folder.glob("cache/.*.partial/*.done.json"))], at_least=5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(0.5)  # its worker ends with it
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("cache/.*.partial/*.done.json")}
    assert len(times) >= len(done) >= 5
    made: list[int] = []
    write = job.write_shard
    monkeypatch.setattr(job, "write_shard", lambda *given: made.append(given[2]) or write(*given))
    cache = build(folder, workers=0)
    assert not {f"train.{n:05d}.done.json" for n in made} & set(times), "a finished shard is not done again"
    assert made, "the rest is"
    found = contents(cache)
    assert not [name for name in found if "done" in name or "tmp" in name or name.startswith(".")], "no litter"
    assert sorted(path.name for path in (folder / "cache").iterdir()) == sorted(
        [".sources.digests.json", f".{cache.path.name}.digests.json", cache.path.name]
    )
    for path in cache.path.iterdir():
        path.unlink()
    assert contents(build(folder, workers=0)) == found, "the same as in one go"


def test_a_shard_that_was_damaged_meanwhile_is_done_again(folder: Path):
    write_rows(folder / "train.jsonl", pairs(4000))
    process = start_build(folder, SIZE, workers=0)
    _wait(process, lambda: [list(folder.glob("cache/.*.partial/*.done.json"))], at_least=3)
    process.kill()
    process.communicate()
    for path in folder.glob("cache/.*.partial/train.0000[01].tokens"):
        path.write_bytes(b"\0" + path.read_bytes()[1:])
    cache = build(folder, workers=0)
    split = cache.split("train")
    assert all(len(split.ids(n)) for n in range(len(split))), "each example is what was written"


def test_two_processes_build_one_cache(folder: Path):
    write_rows(folder / "train.jsonl", pairs(1500))
    processes = [start_build(folder, SIZE, workers=1) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sorted(out.strip() for out, _ in said) == ["False", "True"]
    assert len([path for path in (folder / "cache").iterdir() if path.is_dir()]) == 1


def test_a_holder_that_is_killed_does_not_block_the_next(folder: Path):
    write_rows(folder / "train.jsonl", pairs(6000))
    holder = start_build(folder, SIZE, workers=0)
    _wait(holder, lambda: [list(folder.glob("cache/.*.partial/*.done.json"))], at_least=1)
    waiter = start_build(folder, SIZE, workers=0)
    time.sleep(0.2)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    out, err = waiter.communicate(timeout=300)
    assert (waiter.returncode, out.strip()) == (0, "False"), err


def _wait(process, look, at_least: int) -> list:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        found = look()
        if len(found[0]) >= at_least:
            return found
        time.sleep(0.01)
    raise AssertionError(f"it ended, or took too long: {process.communicate()}")
