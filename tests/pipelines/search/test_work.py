"""Workers: the total met exactly whatever is killed and however many there are; memory that does not grow."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import pipelines.search.trial as trial_module
import pipelines.search.work as module
from pipelines.search.trials import trials
from pipelines.search.work import work
from tasks.errors import Interrupted, Paused
from tests.pipelines.search.searching import search_in, stand_in, study_of

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys, time
import pipelines.search.trial as trial, pipelines.search.work as worker
from pathlib import Path
from pipelines.search.would_fit import Fits
from tests.pipelines.search.searching import search_in, stand_in
def loss(run, step):
    time.sleep(0.02)
    with (Path(run.run_dir).parents[1] / "progress").open("a") as file:
        file.write(".")
    return abs(run.optim.lr - 0.01) * 100 + 1 / step
trial.run_stages = stand_in(loss, steps=6)
trial.would_fit = lambda run: Fits(fits=True, peak_bytes=1, budget_bytes=2)
def conclude(*_):
    (folder := Path(sys.argv[1]) / "concluding").mkdir()  # by one worker at a time
    time.sleep(0.3)
    folder.rmdir()
    return {}
worker.conclude = conclude
worker.work(search_in(Path(sys.argv[1]), *sys.argv[2:]), lambda stage: stage)
"""


def _worker(folder: Path, *overrides: str, lock: str = "gpu.lock") -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "GRAFTLINE_GPU_LOCK": str(folder / lock)}
    arguments = [sys.executable, "-c", SCRIPT, str(folder), *overrides]
    with Path(f"{folder}.said").open("ab") as said:
        return subprocess.Popen(arguments, cwd=ROOT, env=environment, stderr=said)


def _ended_well(folder: Path, *workers: "subprocess.Popen[bytes]") -> None:
    codes = [worker.wait(300) for worker in workers]
    assert not any(codes), Path(f"{folder}.said").read_text()[-3000:]


def _told(folder: Path, *overrides: str) -> list[tuple[Any, ...]]:
    search = search_in(folder, *overrides)
    rows = trials(search, study_of(search))
    return [
        (row["number"], row["state"], row["value"], tuple(row["values"].items()), str(row["curve"])) for row in rows
    ]


def _progress(folder: Path) -> int:
    path = folder / "progress"
    return path.stat().st_size if path.exists() else 0


def _kill_after(worker: "subprocess.Popen[bytes]", folder: Path, validations: int) -> bool:
    """Kills a worker once so many validations more have been seen; False where it ended before."""
    before = _progress(folder)
    while worker.poll() is None:
        if _progress(folder) >= before + validations:
            worker.kill()
            worker.wait()
            return True
        time.sleep(0.002)
    return False


@pytest.mark.flow
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    total = ("sweep.budget.trials=8", "sweep.pruner.startup=3")
    whole = _worker(tmp_path / "whole", *total)
    _ended_well(tmp_path / "whole", whole)
    rng = random.Random(7)
    for _ in range(3):
        killed = _kill_after(_worker(tmp_path / "killed", *total), tmp_path / "killed", rng.randint(1, 6))
        assert killed
        time.sleep(rng.random() * 0.02)
    _ended_well(tmp_path / "killed", _worker(tmp_path / "killed", *total))
    told = _told(tmp_path / "killed", *total)
    assert [row[0] for row in told] == [*range(8)]
    assert told == _told(tmp_path / "whole", *total)


@pytest.mark.flow
def test_workers_that_are_killed_among_others_lose_and_double_nothing(tmp_path: Path) -> None:
    total = ("sweep.budget.trials=16", "sweep.pruner=none")
    rng = random.Random(3)
    workers = [_worker(tmp_path, *total, lock=f"{n}.lock") for n in range(3)]
    for kill in range(3):
        victim = kill % 3
        assert _kill_after(workers[victim], tmp_path, rng.randint(2, 8))
        workers[victim] = _worker(tmp_path, *total, lock=f"{victim}.lock")
    _ended_well(tmp_path, *workers)
    told = _told(tmp_path, *total)
    assert [row[0] for row in told] == [*range(16)]
    assert {row[1] for row in told} == {"complete"}
    assert not [*(tmp_path / "workers").iterdir()]  # whoever ended second has waited for the best to be copied


@pytest.mark.flow
def test_workers_on_one_gpu_take_turns(tmp_path: Path) -> None:
    total = ("sweep.budget.trials=6", "sweep.pruner=none")
    workers = [_worker(tmp_path, *total) for _ in range(2)]
    _ended_well(tmp_path, *workers)
    found = [
        (trial.datetime_start, trial.datetime_complete) for trial in study_of(search_in(tmp_path, *total)).trials()
    ]
    assert len(found) == 6
    for (_, ended), (began, _) in pairwise(found):
        assert began is not None
        assert ended is not None
        assert began >= ended


def test_a_signal_between_trials_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))

    def pressed(*_: Any) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return False

    monkeypatch.setattr(module, "_turn", pressed)
    with pytest.raises(Interrupted, match="to resume the study test, repeat the command") as caught:
        work(search_in(tmp_path), lambda stage: stage)
    assert caught.value.signum == signal.SIGINT


def test_a_stopped_trial_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))
    monkeypatch.setattr(module, "conclude", lambda *_: {"done": True})

    def stopped(*_: Any) -> None:
        raise Interrupted("stopped after step 3 of 9", 15)

    monkeypatch.setattr(trial_module, "run_stages", stopped)
    search = search_in(tmp_path, "sweep.budget.trials=2")
    with pytest.raises(Interrupted, match="after step 3"):
        work(search, lambda stage: stage)
    monkeypatch.setattr(trial_module, "run_stages", stand_in(lambda run, n: 1.0))
    assert work(search, lambda stage: stage) == {"done": True}
    assert [row["state"] for row in trials(search, study_of(search))] == ["complete", "complete"]
    assert not [*(tmp_path / "workers").iterdir()]


def test_memory_does_not_grow_from_trial_to_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    from tests.pipelines.conftest import QUICK

    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))
    for name in ("run.stages", "search.would_fit", "search.same_study"):
        monkeypatch.setattr(f"pipelines.{name}.TOKENS", tmp_path / "tokens")
    monkeypatch.setattr(module, "conclude", lambda *_: {})
    held, turn = list[int](), module._turn

    def measured(*arguments: Any) -> bool:
        worked = turn(*arguments)
        held.append(mx.get_active_memory())
        return worked

    monkeypatch.setattr(module, "_turn", measured)
    same = ["sweep.space.lora=null", "sweep.space.lora.rank.choices=[4]"]
    short = [o for o in QUICK if not o.startswith("+experiment=")]
    work(search_in(tmp_path, *short, "sweep.budget.trials=4", "sweep.pruner=none", *same), lambda stage: stage.fn)
    peaks = [
        json.loads((folder / "report.json").read_text())["train"]["peak_memory_bytes"]
        for folder in sorted((tmp_path / "trials").iterdir())
    ]
    assert len(held) == len(peaks) == 4
    assert len({*held}) == 1
    assert max(peaks) < 1.02 * min(peaks)  # by how far the queue ran ahead: 0.7 % has been seen


@pytest.mark.flow
def test_night_after_night_it_goes_on_to_its_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    import pipelines.run.within
    import tasks.checkpoint.interrupt
    from tasks.sink import Jsonl
    from tests.pipelines.conftest import QUICK

    for name in ("run.stages", "search.would_fit", "search.same_study"):
        monkeypatch.setattr(f"pipelines.{name}.TOKENS", tmp_path / "tokens")
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))
    monkeypatch.setattr(module, "conclude", lambda *_: {"done": True})
    ahead, steps, write = 0.0, 0, Jsonl.write
    clock = SimpleNamespace(time=lambda: time.time() + ahead, strftime=time.strftime)
    for each in (pipelines.run.within, tasks.checkpoint.interrupt):
        monkeypatch.setattr(each, "time", clock)

    def write_till_morning(self: Jsonl, metrics: Any) -> None:
        nonlocal ahead, steps
        write(self, metrics)
        steps += 1
        ahead = 7200.0 if steps in (3, 10, 12) else ahead  # in mid-trial, and on the last step of the second

    hours = [time.strftime("%H:%M:%S", time.gmtime(time.time() + seconds)) for seconds in (-3600, 3600)]
    short = [o for o in QUICK if not o.startswith(("+experiment=", "train.steps="))]
    total = ("train.steps=5", "sinks=[jsonl]", "sweep.budget.trials=3", "sweep.pruner=none", "evaluate.generate=0")
    search = search_in(tmp_path / "nights", *short, *total, f"window={'-'.join(hours)} UTC")
    said = list[str]()
    with monkeypatch.context() as patch:
        patch.setattr(Jsonl, "write", write_till_morning)
        for _ in range(12):
            ahead = 0.0
            try:
                assert work(search, lambda stage: stage.fn) == {"done": True}
                break
            except Paused as paused:
                said.append(str(paused))
                ahead = 7200.0
                with pytest.raises(Paused, match=r"^it is .* outside window=.*; to resume the study"):
                    work(search, lambda stage: stage.fn)
    assert len(said) == 3
    assert all(line.endswith("; to resume the study test, repeat the command") for line in said)
    assert all("has closed: stopped after step" in line for line in said)
    work(search_in(tmp_path / "day", *short, *total), lambda stage: stage.fn)
    nights, day = (_told(tmp_path / name, *short, *total) for name in ("nights", "day"))
    assert nights == day
    assert [row[:2] for row in nights] == [(number, "complete") for number in range(3)]
