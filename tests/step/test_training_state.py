"""A checkpoint holds all that a training is: any part of it that was lost would make another run."""

import shutil
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from tasks.batch import Packed
from tasks.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from tasks.errors import RunError
from tasks.lora import LoRA
from tasks.settings import Train
from tasks.sink import Counters
from tasks.step.dispatch import Dispatcher
from tasks.step.loop import Training
from tasks.step.update import named
from tests.batch.rows import MemoryRows
from tests.tiny import attach_random, tiny_model
from tests.training import recipe

HOW = recipe(
    rule=LoRA(rank=4, alpha=8.0, dropout=0.3),
    layout=Packed(tokens=64),
    steps=8,
    train=Train(accumulate=2, save_every=4, eval_every=2, keep=9, patience=5, final="best", on_bad="restore"),
)


def fit(folder, *, dropout=0.3, how=HOW):
    model = tiny_model("qwen3")
    attach_random(model, dropout=dropout)
    loop = Training(model, MemoryRows([9, 30, 17, 12, 25, 40, 11, 8]), MemoryRows([12, 20]), how, folder)
    loop.run([])
    return loop, {name: np.array(array).tobytes() for name, array in named(model.trainable_parameters()).items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, fit(folder)[1]


def resume(whole: Path, folder: Path, lose=lambda found: found):
    """Goes on from step 4, after something of its checkpoint was lost."""
    shutil.copytree(whole, folder)
    for path in (folder / "checkpoints").glob("step-*"):
        if int(path.name[5:]) > 4:
            shutil.rmtree(path)
    found = newest_checkpoint(folder / "checkpoints")
    assert found is not None
    assert found.step == 4
    save_checkpoint(folder / "checkpoints", lose(found), keep=9)
    return fit(folder)


def without(found: Checkpoint, part: str) -> Checkpoint:
    arrays = {name: mx.zeros_like(array) if part in name else array for name, array in found.arrays.items()}
    assert any(part in name for name in arrays)
    return replace(found, arrays=arrays)


def test_nothing_lost_is_the_same_run(whole, tmp_path):
    loop, resumed = resume(whole[0], tmp_path / "run")
    assert loop.first == 4
    assert resumed == whole[1]


@pytest.mark.parametrize("part", ["lora_a", "lora_b", "optimizer.adapter.m", "optimizer.adapter.v", "optimizer.step"])
def test_an_array_that_is_lost_makes_another_run(part, whole, tmp_path):
    assert resume(whole[0], tmp_path / "run", lambda found: without(found, part))[1] != whole[1]


def test_the_place_in_the_data_and_the_key_of_dropout_make_the_run_too(whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Dispatcher, "enter", lambda feed, step, enter=Dispatcher.enter: enter(feed, 0))
        assert resume(whole[0], tmp_path / "place")[1] != whole[1]
    with monkeypatch.context() as patch:
        patch.setattr("tasks.step.dispatch._key", lambda seed, step: mx.random.key(seed))
        assert resume(whole[0], tmp_path / "key")[1] != whole[1]


def test_a_rate_that_was_lowered_stays_so(whole, tmp_path):
    lowered = resume(
        whole[0], tmp_path / "run", lambda found: replace(found, counters={**found.counters, "rate_factor": 0.5})
    )
    assert lowered[1] != whole[1]


def test_every_counter_comes_back(whole, tmp_path):
    kinds = {"int": 3, "float": 0.1 + 0.2, "float | None": 0.7, "int | None": 2, "list[float]": [0.5, 1 / 3]}
    types = {
        name: str(kind).removeprefix("<class '").removesuffix("'>") for name, kind in Counters.__annotations__.items()
    }
    told = {name: kinds[kind] for name, kind in types.items()} | {"since_best": 1, "restores": 0}
    shutil.copytree(whole[0], tmp_path / "run")
    found = newest_checkpoint(tmp_path / "run/checkpoints")
    assert found is not None
    assert {*found.counters} == {*told}
    save_checkpoint(tmp_path / "run/checkpoints", replace(found, counters=told), keep=9)
    model = tiny_model("qwen3")
    attach_random(model)
    loop = Training(model, MemoryRows([9, 30]), MemoryRows([9]), HOW, tmp_path / "run")
    assert vars(loop.counters) == told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"counters": {"votes": 3}}, r"the checkpoint of step 8 differs from this run by counting votes;"),
        ({"origin": {"data": "other"}}, r"the checkpoint of step 8 differs from this run in its data;"),
        (
            {"arrays": {"elsewhere": mx.zeros((2,))}},
            r"of step 8 does not fit the adapter: elsewhere is \[2\] there and absent",
        ),
    ],
)
def test_what_is_of_another_run_is_refused_by_name(change, said, whole, tmp_path):
    def resume_other():
        found = newest_checkpoint(whole[0] / "checkpoints")
        assert found is not None
        save_checkpoint(tmp_path / "run/checkpoints", replace(found, **change), keep=9)
        model = tiny_model("qwen3")
        attach_random(model)
        Training(model, MemoryRows([9, 30]), MemoryRows([9]), HOW, tmp_path / "run", origin={"data": "mine"})

    with pytest.raises(RunError, match=said):
        resume_other()


def test_the_best_that_is_lost_is_said_and_the_next_best_taken(whole, tmp_path, caplog):
    caplog.set_level("WARNING", "tasks")
    shutil.copytree(whole[0], tmp_path / "run")
    found = newest_checkpoint(tmp_path / "run/checkpoints")
    assert found is not None
    counters = {**found.counters, "best_step": 3, "best_loss": 0.1}
    save_checkpoint(tmp_path / "run/checkpoints", replace(found, counters=counters), keep=9)
    _, result = fit(tmp_path / "run")
    assert result == whole[1]
    assert "the checkpoint of step 3, the best, is lost; step 8 is the best left" in caplog.text
