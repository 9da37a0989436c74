"""The loop by itself, without files but checkpoints; tests/test_train.py has it inside its stage."""

import json
import logging
import random
import shutil
import signal
from typing import ClassVar

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file

from tasks.batch import Packed, Padded
from tasks.checkpoint import newest_checkpoint, save_checkpoint
from tasks.errors import ConfigError, Interrupted, RunError
from tasks.lora import LoRA
from tasks.memory import Memory
from tasks.optim import AdamW
from tasks.settings import Train
from tasks.sink import Status
from tasks.step.forward import Forward
from tasks.step.loop import Training
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
        self.rates: list[float] = []
        self.spikes: list[bool | None] = []
        self.stop_at: int | None = None

    def write(self, metrics) -> None:
        self.steps.append(metrics.step)
        self.rates.append(metrics.learning_rate)
        self.spikes.append(metrics.spike)
        if metrics.step == self.stop_at:
            self.stop_at = None
            signal.raise_signal(signal.SIGINT)
        self.losses.append(metrics.loss)
        self.valid.append(metrics.valid_loss)

    def close(self, _status: Status) -> None:
        pass


def fit(folder, how, valid=None, sink=None):
    model, kept = tiny_model("qwen3"), sink or Kept()
    model.freeze()
    attach_random(model, dropout=how.rule.dropout)
    loop = Training(model, MemoryRows(LENGTHS), valid, how, folder)
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
        Training(model, MemoryRows(LENGTHS), None, recipe(train=Train(save_every=1)), tmp_path).run([])
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
        monkeypatch.setattr("tasks.step.forward.Forward", Poisoned)

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
    monkeypatch.setattr(Training, "_validate", lambda *_: next(losses))
    how = recipe(steps=8, train=Train(eval_every=2, keep=1, keep_best=True))
    loop, _, _ = fit(tmp_path, how, MemoryRows([12, 20]))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-000004", "step-000008"]
    assert loop.counters.best_loss == 1.0


def test_a_checkpoint_of_other_rows_is_refused(tmp_path):
    def start(origin, steps):
        model = tiny_model("qwen3")
        attach_random(model)
        loop = Training(model, MemoryRows(LENGTHS), None, recipe(steps=steps), tmp_path, origin=origin)
        loop.run([])
        return loop.first

    assert start({"data": "a", "base model": "b"}, 2) == 0
    with pytest.raises(RunError, match="the checkpoint of step 2 differs from this run in its data;"):
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

        def rewind(self, step):
            order.append(f"rewound to {step}")

    order: list[str] = []
    save = save_checkpoint
    monkeypatch.setattr(
        "tasks.step.training_state.save_checkpoint",
        lambda folder, found, **more: order.append(f"saved {found.step}") or save(folder, found, **more),
    )
    model = tiny_model("qwen3")
    attach_random(model)
    Training(model, MemoryRows(LENGTHS), None, recipe(steps=4, train=Train(save_every=2)), tmp_path).run([Synced()])
    assert order == ["synced 2", "saved 2", "synced 4", "saved 4"]


def scripted(monkeypatch, losses):
    """Validations that give these losses, and go on where a run does: they are a function of the step."""
    monkeypatch.setattr(Training, "_validate", lambda loop, *_: losses[loop.step])


VALID = {2: 3.0, 4: 1.0, 6: 2.0, 8: 1.5, 10: 1.2, 12: 0.9}
PATIENT = recipe(steps=12, train=Train(eval_every=2, save_every=3, patience=2, final="best"))


def test_patience_ends_the_run_and_the_best_adapter_is_the_result(tmp_path, monkeypatch):
    scripted(monkeypatch, VALID)
    loop, kept, trained = fit(tmp_path / "run", PATIENT, MemoryRows([12, 20]))
    assert (loop.ended, loop.step, kept.steps[-1]) == ("patience", 8, 8)
    assert (loop.counters.best_step, loop.counters.best_loss, loop.counters.since_best) == (4, 1.0, 2)
    at_four = load_file(tmp_path / "run/checkpoints/step-000004/state.safetensors")
    assert all(np.array_equal(array, at_four[name]) for name, array in trained.items())
    _, whole, _ = fit(tmp_path / "whole", recipe(steps=12, train=Train(eval_every=2)), MemoryRows([12, 20]))
    assert whole.rates[:8] == kept.rates  # ending early is no reason for another rate


def test_a_run_that_ran_out_of_patience_does_not_go_on_until_it_is_given_more(tmp_path, monkeypatch):
    scripted(monkeypatch, VALID)
    fit(tmp_path, PATIENT, MemoryRows([12, 20]))
    loop, kept, _ = fit(tmp_path, PATIENT, MemoryRows([12, 20]))
    assert (loop.first, loop.ended, kept.steps) == (8, "patience", [])
    more = recipe(steps=12, train=PATIENT.train.model_copy(update={"patience": 4}))
    loop, kept, trained = fit(tmp_path, more, MemoryRows([12, 20]))
    assert (loop.first, loop.ended, loop.counters.best_step) == (8, "steps", 12)
    assert all(np.array_equal(array, named(loop._state.masters)[name]) for name, array in trained.items())


@pytest.mark.parametrize("setting", ["patience=2", "final=best"])
def test_what_goes_by_validation_needs_rows_for_it(setting, tmp_path):
    name, _, value = setting.partition("=")
    how = recipe(train=Train.model_validate({"eval_every": 1, name: int(value) if value.isdigit() else value}))
    with pytest.raises(ConfigError, match=rf"train\.{setting} goes by the validation loss.*give data\.valid"):
        fit(tmp_path, how)


class Fragile(Forward):
    """Breaks down where the loss has fallen below a number: a function of the state, as in life."""

    floor: ClassVar[float] = 0.0

    def __call__(self, arrays, **options):
        loss = super().__call__(arrays, **options)
        return loss._replace(total=mx.where(loss.mean < self.floor, float("nan"), loss.total))


class Rewound(Kept):
    """Keeps what stands in a record that can be rewound, and when it was."""

    def __init__(self):
        super().__init__()
        self.back: list[int] = []

    def sync(self):
        pass

    def rewind(self, step):
        self.back.append(step)
        for told in (self.steps, self.losses, self.valid, self.rates):
            del told[step:]


@pytest.fixture
def fragile(monkeypatch):
    monkeypatch.setattr("tasks.step.forward.Forward", Fragile)
    Fragile.floor = 2.75


RESTORING = recipe(
    steps=12,
    rule=LoRA(rank=4, alpha=8.0, dropout=0.2),
    layout=Padded(size=8),
    optim=AdamW(lr=1e-2, schedule="constant", warmup=0),
    train=Train(on_bad="restore", save_every=3, backoff=0.2),
)


def test_a_bad_step_is_gone_back_from_at_a_lower_rate_and_each_step_told_once(fragile, tmp_path, caplog):
    loop, kept, trained = fit(tmp_path, RESTORING, sink=Rewound())
    assert kept.back == [6, 9]
    assert loop.counters.restores == len(kept.back)
    assert kept.steps == list(range(1, 13))
    assert all(step % 3 == 0 for step in kept.back)
    assert kept.rates[-1] == 1e-2 * loop.counters.rate_factor
    assert kept.rates[0] == 1e-2
    assert all(np.isfinite(array).all() for array in trained.values())
    assert loop.counters.skipped == 0
    assert f"back at step {kept.back[0]}, at 0.2 times the learning rate" in caplog.text
    bad = json.loads((tmp_path / "bad_batch.json").read_text())["steps"]
    assert [entry["restores"] for entry in bad] == list(range(len(kept.back)))


def test_the_start_is_a_state_to_go_back_to(fragile, tmp_path):
    Fragile.floor = 6.3
    how = RESTORING.model_copy(update={"steps": 3, "train": Train(on_bad="restore", backoff=1e-3)})
    loop, kept, _ = fit(tmp_path, how, sink=Rewound())
    assert kept.back[0] == 0
    assert kept.rates[0] < 1e-2
    assert loop.first == 0


@pytest.mark.parametrize("stop", range(1, 12))
def test_going_back_does_not_depend_on_where_a_run_was_stopped(stop, fragile, tmp_path):
    """A signal saves where no checkpoint was due: the run that goes on from there goes back past it."""
    _, whole, there = fit(tmp_path / "whole", RESTORING, sink=Rewound())
    record = Rewound()
    record.stop_at = stop
    with pytest.raises(Interrupted, match=r"stopped after step \d+ of 12"):
        fit(tmp_path / "run", RESTORING, sink=record)
    loop, _, resumed = fit(tmp_path / "run", RESTORING, sink=record)
    assert loop.counters.restores == len(whole.back)
    assert (record.steps, record.losses, record.rates) == (whole.steps, whole.losses, whole.rates)
    assert all(np.array_equal(array, resumed[name]) for name, array in there.items())


def test_going_back_ends_where_a_lower_rate_does_not_help(poison, tmp_path):
    poison(*range(2, 99))
    with pytest.raises(RunError, match=r"step 1: .* though the run has gone back 5 times"):
        fit(tmp_path, RESTORING)


def test_a_validation_that_is_not_finite_is_gone_back_from_too(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Training, "_validate", lambda loop, *_: 1.0 if loop.counters.restores or loop.step < 4 else float("nan")
    )
    how = recipe(steps=6, train=Train(on_bad="restore", eval_every=2))
    loop, kept, _ = fit(tmp_path, how, MemoryRows([12]), Rewound())
    assert (kept.back, kept.steps, loop.counters.restores) == ([0], [1, 2, 3, 4, 5, 6], 1)
    assert kept.valid == [None, 1.0, None, 1.0, None, 1.0]


class Spiking(Forward):
    """A loss that is five times as large on some passes, counted from 1."""

    at: ClassVar[set[int]] = set()
    seen: ClassVar[list[int]] = []

    def __call__(self, arrays, **options):
        self.seen.append(1)
        loss = super().__call__(arrays, **options)
        return loss._replace(total=loss.total * (5.0 if len(self.seen) in self.at else 1.0))


def test_spikes_are_told_counted_and_the_same_after_a_resume(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tasks.step.forward.Forward", Spiking)
    Spiking.seen, Spiking.at = [], {20, 24}
    (tmp_path / "whole").mkdir()
    how = recipe(steps=26, optim=AdamW(lr=1e-5), train=Train(save_every=22))
    loop, kept, _ = fit(tmp_path / "whole", how)
    assert loop.counters.spikes == 2
    assert [step for step, spike in zip(kept.steps, kept.spikes, strict=True) if spike] == [20, 24]
    assert [r.getMessage().split(":")[0] for r in caplog.records] == ["step 20", "step 24"]
    bad = json.loads((tmp_path / "whole/bad_batch.json").read_text())["steps"]
    assert [(entry["step"], entry["why"]) for entry in bad] == [(20, "spike"), (24, "spike")]

    Spiking.seen, Spiking.at = [1] * 22, {24}  # goes on from step 22: what it knows of the losses before is saved
    shutil.copytree(tmp_path / "whole/checkpoints/step-000022", tmp_path / "run/checkpoints/step-000022")
    resumed, after, _ = fit(tmp_path / "run", how)
    assert (resumed.first, resumed.counters.spikes, after.spikes) == (22, 2, [None, True, None, None])


def test_training_moves_no_random_state_of_the_process(tmp_path):
    """So a checkpoint need hold none: what is random is drawn from the seed and the step."""

    def states():
        return repr((random.getstate(), np.random.get_state(), mx.random.state))

    model = tiny_model("qwen3")
    attach_random(model, dropout=0.2)
    train = Train(accumulate=2, eval_every=2, save_every=2, on_bad="restore")
    how = recipe(steps=5, layout=Packed(tokens=64), rule=RESTORING.rule, train=train)
    before = states()
    Training(model, MemoryRows(LENGTHS), MemoryRows([12, 20]), how, tmp_path).run([])
    assert states() == before
