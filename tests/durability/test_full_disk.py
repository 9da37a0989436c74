"""A disk that fills up, for real: one clear line, the last good checkpoint intact, no litter, and the run goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.checkpoint import newest_checkpoint
from tasks.data import TokenCache
from tasks.errors import RunError
from tasks.lora import LoRA
from tasks.model import Model
from tasks.settings import Train
from tasks.sink import SINKS, Console
from tasks.sink.jsonl import read_metrics
from tests.durability.killing import Killed, outcome
from tests.training import recipe, train_in

LONG = recipe(rule=LoRA(rank=4, alpha=8.0, dropout=0.2), steps=9, train=Train(save_every=2, accumulate=2))


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system in memory of a size."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here; that takes root on Linux")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Takes every byte that is left."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass


def litter(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


@pytest.mark.parametrize("step", [1, 4, 5, 8])
def test_a_disk_that_fills_up_costs_no_more_than_since_the_last_checkpoint(
    step: int, model_folder, token_cache: TokenCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Model(path=str(model_folder()))
    whole = train_in(tmp_path / "whole", token_cache, source, LONG)

    class Filling(Console):
        """Fills the disk once a step is told; the next thing that is written does not fit."""

        def write(self, metrics) -> None:
            if metrics.step == step:
                fill(tmp_path / "disk")

    with small_disk(tmp_path / "disk", 4096) as disk:
        with monkeypatch.context() as patch:
            patch.setitem(SINKS, "console", Filling)
            with pytest.raises(
                RunError, match=r"run: the disk is full at step \d; make room, .* to resume from"
            ) as caught:
                train_in(disk / "run", token_cache, source, LONG, ("console", "jsonl"))
        assert "\n" not in str(caught.value)
        found = newest_checkpoint(disk / "run" / "checkpoints")
        last = step // 2 * 2 - 2 * (step % 2 == 0)  # the save of this very step is the first that does not fit
        assert (found.step if found else 0) == last
        assert not litter(disk / "run")
        (disk / "filler").unlink()
        done = train_in(disk / "run", token_cache, source, LONG)
        assert (done.resumed_from or 0, done.adapter.sha256) == (last, whole.adapter.sha256)
        assert [line["step"] for line in read_metrics(disk / "run" / "metrics.jsonl")] == list(range(1, 10))


@pytest.mark.flow
@pytest.mark.parametrize("kilobytes", [8, 200, 500, 900])
def test_a_disk_that_is_too_small_is_said_in_one_line(kilobytes: int, tmp_path: Path) -> None:
    run = Killed(tmp_path, steps=6)
    run.prepare()
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        said = subprocess.run(
            run.command(disk / "run"), capture_output=True, text=True, cwd=Path(__file__).parents[2], env=own(disk)
        )
        assert said.returncode == 1, said.stderr
        lines = [line for line in said.stderr.splitlines() if " | INFO " not in line]
        assert len(lines) == 1, said.stderr
        assert lines[0].startswith("error: ")
        assert "disk is full" in lines[0] or "No space left" in lines[0]
        assert not litter(disk)
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        run.finish(disk / "run")
        assert not outcome(disk / "run")["litter"]


def own(disk: Path) -> dict[str, str]:
    """The environment, with a lock of the GPU of one's own."""
    return {**os.environ, "GRAFTLINE_GPU_LOCK": f"{disk}.gpu", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": sys.path[0]}
