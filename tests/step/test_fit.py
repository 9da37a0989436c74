"""The loop by itself, without files but checkpoints; tests/test_train.py has it inside its stage."""

import json
import logging
from typing import ClassVar

import mlx.core as mx
import numpy as np
import pytest

from tasks.batch import Packed, Padded
from tasks.checkpoint import newest_checkpoint, save_checkpoint
from tasks.errors import RunError
from tasks.lora import LoRA
from tasks.memory import Memory
from tasks.optim import AdamW
from tasks.settings import Train
from tasks.step import Fit
from tasks.step.forward import Forward
from tasks.step.update import named
from tests.batch.rows import MemoryRows
from tests.tiny import attach_random, tiny_model
from tests.training import recipe

LENGTHS = [9, 30, 17, 12, 25, 40, 11, 8]


@pytest.fixture(autouse=True)
def _heard(caplog):
    caplog.set_level(logging.WARNING, "tasks")  # a command that ran before may have turned it down


class Kept:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.valid: list[float | None] = []

    def write(self, metrics) -> None:
        self.steps.append(metrics.step)
        self.losses.append(metrics.loss)
        self.valid.append(metrics.valid_loss)

    def close(self) -> None:
        pass


def fit(folder, how, valid=None):
    model, kept = tiny_model("qwen3"), Kept()
    model.freeze()
    attach_random(model)
    loop = Fit(model, MemoryRows(LENGTHS), valid, how, folder)
    loop.run([kept])
    return loop, kept, {name: np.array(array) for name, array in named(model.trainable_parameters()).items()}


@pytest.mark.parametrize("layout", [Padded(size=3), Packed(tokens=64)], ids=repr)
def test_each_step_is_told_once_in_order_and_the_loss_falls(layout, tmp_path):
    loop, kept, _ = fit(tmp_path, recipe(layout=layout, steps=9))
    assert kept.steps == list(range(1, 10))
    assert kept.losses[-1] < kept.losses[0]
    assert loop.counters.loss_last == kept.losses[-1]


def test_validation_comes_when_it_is_due_and_changes_nothing(tmp_path):
    how = recipe(steps=5, train=Train(eval_every=2))
    _, kept, trained = fit(tmp_path / "a", how, MemoryRows([12, 20]))
    assert [loss is not None for loss in kept.valid] == [False, True, False, True, True]
    _, _, without = fit(tmp_path / "b", how)
    assert all(np.array_equal(array, without[name]) for name, array in trained.items())


def test_logits_everywhere_give_the_same_adapter_within_rounding(tmp_path):
    _, gathered, _ = fit(tmp_path / "a", recipe(steps=4))
    _, full, _ = fit(tmp_path / "b", recipe(steps=4, memory=Memory(head_chunk=None)))
    assert gathered.losses == pytest.approx(full.losses, rel=1e-4)


def test_a_loss_that_is_not_finite_stops_before_anything_is_saved(tmp_path):
    model = tiny_model("qwen3")
    model.freeze()
    attach_random(model)
    model.model.norm.weight = mx.full(model.model.norm.weight.shape, float("nan"))
    with pytest.raises(RunError, match=r"step 1: the loss is nan, .* on training examples \["):
        Fit(model, MemoryRows(LENGTHS), None, recipe(train=Train(save_every=1)), tmp_path).run([])
    assert not (tmp_path / "checkpoints").exists()


class Poisoned(Forward):
    """Gives a loss that is not finite on one of the batches."""

    bad: ClassVar[set[int]] = set()
    seen: ClassVar[list[int]] = []

    def __call__(self, arrays, *more, **options):
        self.seen.append(1)
        loss = super().__call__(arrays, *more, **options)
        return loss._replace(total=loss.total * float("nan")) if len(self.seen) in self.bad else loss


@pytest.fixture
def poison(monkeypatch):
    """Makes the loss of some forward passes NaN, counted from 1; without accumulation those are steps."""

    def set_up(*bad):
        Poisoned.bad, Poisoned.seen = set(bad), []
        monkeypatch.setattr("tasks.step.fit.Forward", Poisoned)

    return set_up


def bad_steps(folder):
    return [bad["step"] for bad in json.loads((folder / "bad_batch.json").read_text())["steps"]]


def test_a_bad_step_stops_and_its_examples_are_written_down(poison, tmp_path):
    poison(3)
    with pytest.raises(RunError, match=r"step 3: the loss is nan.*bad_batch\.json.*train\.on_bad=skip"):
        fit(tmp_path, recipe(steps=5, train=Train(save_every=1)))
    assert bad_steps(tmp_path) == [3]
    found = newest_checkpoint(tmp_path / "checkpoints")
    assert found is not None
    assert found.step == 2


def test_a_bad_step_is_skipped_and_counted(poison, tmp_path, caplog):
    poison(1, 3)
    how = recipe(steps=5, train=Train(on_bad="skip"))
    loop, kept, trained = fit(tmp_path, how)
    assert [np.isnan(loss) for loss in kept.losses] == [True, False, True, False, False]
    assert (loop.counters.skipped, loop.counters.skipped_in_a_row) == (2, 0)
    assert (loop.counters.loss_first, loop.counters.loss_last) == (kept.losses[1], kept.losses[4])
    assert all(np.isfinite(array).all() for array in trained.values())
    assert bad_steps(tmp_path) == [1, 3]
    assert "step 3: the loss is nan" in caplog.text
    assert "skipped, nothing was updated" in caplog.text


def test_skipping_ends_where_nothing_is_left_to_learn_from(poison, tmp_path):
    poison(*range(2, 99))
    with pytest.raises(RunError, match=r"step 11: .* as on the 9 steps before"):
        fit(tmp_path, recipe(steps=30, train=Train(on_bad="skip")))


def test_the_best_is_saved_and_stays(tmp_path, monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 1.5])
    monkeypatch.setattr(Fit, "_validate", lambda *_: next(losses))
    how = recipe(steps=8, train=Train(eval_every=2, keep=1, keep_best=True))
    loop, _, _ = fit(tmp_path, how, MemoryRows([12, 20]))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-000004", "step-000008"]
    assert loop.counters.best_loss == 1.0


def test_a_checkpoint_of_other_rows_is_refused(tmp_path):
    def start(origin, steps):
        model = tiny_model("qwen3")
        attach_random(model)
        loop = Fit(model, MemoryRows(LENGTHS), None, recipe(steps=steps), tmp_path, origin=origin)
        loop.run([])
        return loop.first

    assert start({"data": "a", "base model": "b"}, 2) == 0
    with pytest.raises(RunError, match="the checkpoint of step 2 is of another data, unlike this run"):
        start({"data": "z", "base model": "b"}, 3)
    assert start({"data": "a", "base model": "b"}, 3) == 2


def test_an_extended_run_is_the_longer_one_under_a_constant_rate(tmp_path):
    def how(steps):
        rule, optim = LoRA(rank=4, alpha=8.0, dropout=0.3), AdamW(lr=1e-2, schedule="constant", warmup=2)
        return recipe(steps=steps, rule=rule, optim=optim)

    _, _, whole = fit(tmp_path / "whole", how(7))
    fit(tmp_path / "run", how(4))
    loop, _, extended = fit(tmp_path / "run", how(7))
    assert loop.first == 4
    assert all(np.array_equal(array, extended[name]) for name, array in whole.items())


def test_metrics_are_on_the_disk_before_the_checkpoint_that_counts_on_them(tmp_path, monkeypatch):
    class Synced(Kept):
        def sync(self):
            order.append(f"synced {self.steps[-1]}")

    order: list[str] = []
    save = save_checkpoint
    monkeypatch.setattr(
        "tasks.step.fit.save_checkpoint",
        lambda folder, found, **more: order.append(f"saved {found.step}") or save(folder, found, **more),
    )
    model = tiny_model("qwen3")
    attach_random(model)
    Fit(model, MemoryRows(LENGTHS), None, recipe(steps=4, train=Train(save_every=2)), tmp_path).run([Synced()])
    assert order == ["synced 2", "saved 2", "synced 4", "saved 4"]
