"""What stands in a run's way on the disk: one clear line each, before anything is trained, and nothing is lost."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.command.preflight import preflight
from pipelines.config import compose
from pipelines.run.stages import run_stages
from tasks.checkpoint import newest_checkpoint
from tasks.errors import GraftlineError, RunError
from tests.durability.killing import Killed
from tests.tiny import write_model


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killed:
    """A run of three steps, its caches and its lock in a temporary folder."""
    monkeypatch.setattr("pipelines.run.stages.TOKENS", tmp_path / "tokens")
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))
    run = Killed(tmp_path, steps=3, more=("train.save_every=1", "train.eval_every=null"))
    run.prepare()
    return run


def train(run: Killed, run_dir: Path, *more: str) -> str:
    """The whole path as plain functions, from the look beforehand on; gives the adapter's digest."""
    overrides = [*run.command(run_dir)[3:], *more]
    preflight(overrides)
    return run_stages(compose(overrides), overrides, lambda stage: stage.fn)["adapter"]["sha256"]


def content(folder: Path) -> dict[str, bytes]:
    """What is there, but for the log of having been asked."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("run.log", ".lock"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def newer(checkpoint: Path) -> None:
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    del manifest["seal"]
    (checkpoint / "manifest.json").write_text(json.dumps({**manifest, "version": 2}))


def unknown_counter(checkpoint: Path) -> None:
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    del manifest["seal"]
    (checkpoint / "manifest.json").write_text(
        json.dumps({**manifest, "counters": {**manifest["counters"], "votes": 1}})
    )


def other_weights(run: Killed) -> None:
    shutil.rmtree(run.folder / "model")
    write_model(run.folder / "model", "qwen3", seed=7)


def other_shape(run: Killed) -> None:
    shutil.rmtree(run.folder / "model")
    write_model(run.folder / "model", "llama")


def other_tokenizer(run: Killed) -> None:
    path = run.folder / "model/tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "clean_up_tokenization_spaces": True}))


def other_rows(run: Killed) -> None:
    path = run.folder / "train.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


NEWEST = "checkpoints/step-000003"
CHANGED: dict[str, tuple[Callable[[Killed], None], str]] = {
    "a checkpoint of another version": (
        lambda run: newer(run.folder / "run" / NEWEST),
        r"step-000003 was written by another version of Graftline: it is a checkpoint of version 2, this one reads 1; ",
    ),
    "a checkpoint of what this version does not know": (
        lambda run: unknown_counter(run.folder / "run" / NEWEST),
        r"the checkpoint of step 3 differs from this run by counting votes; give another run_dir, or resume=never",
    ),
    "other weights in the model's folder": (
        other_weights,
        r"the checkpoint of step 3 differs from this run in its base model;",
    ),
    "a model of another family in its folder": (
        other_shape,
        r"the checkpoint of step 3 differs from this run in its .*base model",
    ),
    "another tokenizer in its folder": (
        other_tokenizer,
        r"the checkpoint of step 3 differs from this run in its .*tokenizer",
    ),
    "other rows in their file": (other_rows, r"the checkpoint of step 3 differs from this run in its data;"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_checkpoint_of_something_else_is_named_and_stays(case: str, base: Killed, tmp_path: Path) -> None:
    train(base, tmp_path / "run")
    change, said = CHANGED[case]
    change(base)
    before = content(tmp_path / "run/checkpoints"), content(tmp_path / "run/adapter")
    with pytest.raises(RunError, match=said) as caught:
        train(base, tmp_path / "run")
    assert "\n" not in str(caught.value)
    left = content(tmp_path / "run/checkpoints")
    start = {name for name in left if name.startswith("start/")}  # drawn anew for what is there now
    assert {name: left[name] for name in left if name not in start} == {
        name: before[0][name] for name in before[0] if name not in start
    }
    assert content(tmp_path / "run/adapter") == before[1]


@contextmanager
def nothing(folder: Path) -> Iterator[None]:
    yield


@contextmanager
def read_only_folder(folder: Path) -> Iterator[None]:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


@contextmanager
def read_only_disk(folder: Path) -> Iterator[None]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a read-only file system cannot be mounted here; that takes root on Linux")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


PLACES = {
    "a file": (nothing, "file", r"run_dir=.*/file is a file; name a folder"),
    "below a file": (nothing, "file/run", r"run_dir=.*/file/run cannot be written: .*/file is a file"),
    "a link to nowhere": (nothing, "dangling", r"run_dir=.*/dangling is a link to .*/nowhere, which is not there; "),
    "not writable": (read_only_folder, "closed/run", r"run_dir=.*/closed/run cannot be written: Permission denied"),
    "on a read-only disk": (read_only_disk, "closed/run", r"run_dir=.*/run cannot be written: Read-only file system"),
    "a read-only disk": (read_only_disk, "closed", r"run_dir=.*/closed cannot be written: Read-only file system"),
}


@pytest.mark.parametrize("case", PLACES)
def test_a_place_that_takes_no_run_is_named(case: str, base: Killed, tmp_path: Path) -> None:
    hindrance, place, said = PLACES[case]
    (tmp_path / "file").write_text("mine")
    (tmp_path / "closed").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with hindrance(tmp_path / "closed"), pytest.raises(GraftlineError, match=said) as caught:
        train(base, tmp_path / place)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["checkpoints", "adapter", "run.log", NEWEST])
def test_a_link_that_leaves_the_run_directory_is_not_followed(name: str, base: Killed, tmp_path: Path) -> None:
    train(base, tmp_path / "run")
    os.replace(tmp_path / "run" / name, tmp_path / "moved")
    (tmp_path / "run" / name).symlink_to(tmp_path / "moved")
    before = content(tmp_path)
    for more in ([], ["resume=never"]):
        with pytest.raises(RunError, match=rf"{name} is a link to .*/moved, outside the run directory; remove it"):
            train(base, tmp_path / "run", *more)
    assert content(tmp_path) == before


def test_a_run_directory_that_is_a_link_is_as_good_as_the_folder(base: Killed, tmp_path: Path) -> None:
    (tmp_path / "big-disk").mkdir()
    (tmp_path / "run").symlink_to("big-disk")
    assert train(base, tmp_path / "run") == train(base, tmp_path / "plain")
    assert (tmp_path / "big-disk/report.json").is_file()


def test_a_run_that_stopped_keeps_what_it_wrote(base: Killed, tmp_path: Path) -> None:
    """Its message names files that are there, though no checkpoint was due."""
    bad = ("train.save_every=null", "lora.alpha=1e37", "optim.warmup=0")
    with pytest.raises(RunError, match="the loss is") as caught:
        train(base, tmp_path / "run", *bad)
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"bad_batch.json", "run.log", "plan.json", "tokens.html"} <= left
    assert str(tmp_path / "run/bad_batch.json") in str(caught.value)
    assert "the loss is" in (tmp_path / "run/run.log").read_text()


def test_a_clock_that_jumps_back_changes_nothing(base: Killed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of checkpoints is that of their steps, and seconds are those of a clock that only goes on."""
    whole = train(base, tmp_path / "whole", "train.keep=9")
    real, calls = time.time, [0]

    def back() -> float:
        calls[0] += 1
        return real() - 3600 * calls[0]

    monkeypatch.setattr("time.time", back)
    train(base, tmp_path / "run", "train.keep=9")
    shutil.rmtree(tmp_path / "run" / NEWEST)
    for age, step in enumerate((2, 1)):  # the older one by its number is the newer one by its time
        os.utime(tmp_path / f"run/checkpoints/step-00000{step}", (age * 10**6, age * 10**6))
    found = newest_checkpoint(tmp_path / "run/checkpoints")
    assert found is not None
    assert found.step == 2
    assert train(base, tmp_path / "run", "train.keep=9") == whole
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(line["seconds"] > 0 and line["tokens_per_second"] > 0 for line in lines)
