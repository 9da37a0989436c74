"""The loop by itself, without files but checkpoints; tests/test_train.py has it inside its stage."""

import mlx.core as mx
import numpy as np
import pytest

from tasks.batch import Packed, Padded
from tasks.errors import RunError
from tasks.memory import Memory
from tasks.settings import Train
from tasks.step import Fit
from tasks.step.update import named
from tests.batch.rows import MemoryRows
from tests.tiny import attach_random, tiny_model
from tests.training import recipe

LENGTHS = [9, 30, 17, 12, 25, 40, 11, 8]


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
