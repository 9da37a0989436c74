"""The loop: from the newest checkpoint or the start to the last step, its state saved, stopped well by a signal.

A step is handed to the device, and while it computes, the loss of the one before is read and the next batch made.
Everything random is a function of the seed and the step, and the place in the data is a count of batches, so a
checkpoint of the masters, the optimizer's state and the counters is all that going on needs.
"""

import logging
import math
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from tasks.artifact import is_disk_full, sweep
from tasks.batch import Batch, Rows, batches, stream
from tasks.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from tasks.checkpoint.interrupt import stop_on_signal
from tasks.errors import Interrupted, RunError
from tasks.memory import usage
from tasks.model.family import model_type
from tasks.model.head import find_head
from tasks.sink import Counters, Durable, Sink
from tasks.step.bad import SKIPPED_IN_A_ROW, write_bad_batch
from tasks.step.forward import Forward
from tasks.step.recipe import Recipe
from tasks.step.update import Update, Updated, is_compiled, named

log = logging.getLogger(__name__)


class Unread(NamedTuple):
    """A step that the device may still be computing."""

    step: int
    rate: float
    window: list[Batch]
    done: Updated


class Fit:
    """One training of the adapter that is attached to a model.

    Args:
        model: the frozen base with the adapter at step 0; `run` leaves the trained parameters in it.
        rows: what is trained on.
        valid: what is validated on; None validates nothing.
        recipe: how.
        out: the run directory; `checkpoints/` in it is gone on with.
        origin: by what the training is of, such as its rows, a digest: a checkpoint of another is refused.

    Attributes:
        first: the step that it goes on from; 0 for a fresh start.
        counters: what went on so far.

    Raises:
        RunError: the newest checkpoint is of other settings, or beyond the last step.
    """

    def __init__(
        self,
        model: nn.Module,
        rows: Rows,
        valid: Rows | None,
        recipe: Recipe,
        out: Path,
        *,
        origin: dict[str, str] | None = None,
    ):
        self._model, self._rows, self._valid, self._recipe, self._out = model, rows, valid, recipe, out
        self._origin = origin or {}
        compiled = is_compiled(recipe.train)
        self._forward = _forward(model, recipe, split=not compiled)
        self._update = Update(self._forward, recipe.optim, checkpoint=recipe.memory.checkpoint, compile=compiled)
        self._masters: Any = model.trainable_parameters()
        self._state = self._update.start(self._masters)
        self.first, self.counters = 0, Counters()
        sweep(out / "checkpoints")
        if found := newest_checkpoint(out / "checkpoints"):
            self._restore(found)
        self._batches = stream(rows, recipe.layout, seed=recipe.seed, start=self.first * recipe.train.accumulate)
        self._valid_loss: float | None = None  # of the step read last
        self._unread: Unread | None = None
        self._doing = self.first

    def run(self, sinks: Sequence[Sink]) -> None:
        """Trains to the last step and tells the sinks of each.

        Raises:
            RunError: a loss or a gradient is not finite, or the disk is full.
            Interrupted: a signal came; a checkpoint was written first.
        """
        recipe, settings = self._recipe, self._recipe.train
        self._began = time.perf_counter()
        try:
            with stop_on_signal() as stop:
                for step in range(self.first + 1, recipe.steps + 1):
                    self._hand_over(step, sinks)
                    if recipe.due(step, settings.save_every) or recipe.due(step, settings.eval_every):
                        self._read(sinks)
                    best = settings.keep_best and self._unread is None and self._is_best()
                    signum = stop.signum  # asked once: what comes later than the checkpoint waits for the next one
                    if signum is not None or recipe.due(step, settings.save_every) or best:
                        self._read(sinks)
                        self._save(step, sinks)
                    if signum is not None and step < recipe.steps:
                        said = f"stopped after step {step} of {recipe.steps}; the same with run_dir={self._out} goes on"
                        raise Interrupted(said, signum)
                    if self._unread is None:
                        self._began = time.perf_counter()  # validating and saving are no training time
        except BaseException as error:
            if isinstance(error, Exception) and is_disk_full(error):
                raise RunError(
                    f"{self._out}: the disk is full at step {self._doing}; make room, and the same with "
                    f"run_dir={self._out} goes on from the last checkpoint"
                ) from error
            error.add_note(f"training step {self._doing} of {recipe.steps}")
            raise
        self._model.update(self._masters)

    def _hand_over(self, step: int, sinks: Sequence[Sink]) -> None:
        """Gives the device a step, and reads the one before while it computes."""
        self._doing, window = step, list(islice(self._batches, self._recipe.train.accumulate))
        rate = self._recipe.optim.rate(step - 1, self._recipe.steps)
        arrays = [self._forward.arrays(batch) for batch in window]
        done = self._update(self._masters, self._state, arrays, _key(self._recipe.seed, step), rate)
        mx.async_eval(done)
        self._read(sinks)
        self._masters, self._state, self._unread = done.masters, done.state, Unread(step, rate, window, done)

    def _read(self, sinks: Sequence[Sink]) -> None:
        """Waits for the step that is not read yet, if there is one, and tells of it."""
        if self._unread is None:
            return
        (step, rate, window, done), self._unread = self._unread, None
        self._doing = step
        loss, norm = float(done.loss.mean), float(done.norm)
        sound = math.isfinite(loss) and math.isfinite(norm)
        said = "" if sound else self._bad(step, loss, norm, window)
        now = time.perf_counter()
        metrics = self.counters.count(
            step=step,
            loss=loss,
            learning_rate=rate,
            grad_norm=norm,
            tokens=sum(batch.tokens for batch in window),
            supervised_tokens=sum(batch.supervised_tokens for batch in window),
            seconds=now - self._began,
            memory=usage(),
        )
        self._began, self._valid_loss = now, None
        if not sound and self.counters.skipped_in_a_row >= SKIPPED_IN_A_ROW:
            raise RunError(f"{said}, as on the {SKIPPED_IN_A_ROW - 1} steps before; lower optim.lr")
        if self._valid is not None and self._recipe.due(step, self._recipe.train.eval_every):
            self._valid_loss = self._validate(step, done.masters, self._valid)
            metrics = self.counters.validated(metrics, self._valid_loss)
        for sink in sinks:
            sink.write(metrics)

    def _validate(self, step: int, masters: Any, valid: Rows) -> float:
        self._model.update(masters)
        rows = islice(batches(valid, self._recipe.layout, seed=0), self._recipe.train.eval_batches)
        loss = self._forward.mean(rows)
        if not math.isfinite(loss):
            raise RunError(f"step {step}: the validation loss is {loss} after this step's update; lower optim.lr")
        return loss

    def _bad(self, step: int, loss: float, norm: float, window: list[Batch]) -> str:
        """Writes down what a step that is not finite was made of; gives what to say of it, or stops here."""
        examples = [index for batch in window for index in batch.examples]
        write_bad_batch(self._out, self._rows, examples, step=step, loss=loss, grad_norm=norm)
        said = f"step {step}: the loss is {loss}, the gradient norm {norm}, on training examples {examples[:16]}"
        if self._recipe.train.on_bad == "stop":
            raise RunError(
                f"{said}; nothing was updated. Lower optim.lr, or look at those rows (bad_batch.json names their "
                "lines), or skip such steps with train.on_bad=skip"
            )
        log.warning("%s; skipped, nothing was updated", said)
        return said

    def _is_best(self) -> bool:
        return self._valid_loss is not None and self._valid_loss == self.counters.best_loss

    def _save(self, step: int, sinks: Sequence[Sink]) -> None:
        for sink in sinks:
            if isinstance(sink, Durable):
                sink.sync()  # before the checkpoint: its metrics are never ahead of those on the disk
        state = {f"optimizer.{name}": array for name, array in named(self._state).items()}
        arrays = {**named(self._masters), **state}
        found = Checkpoint(step, arrays, vars(self.counters), self._valid_loss, self._origin)
        keep, best, every = (getattr(self._recipe.train, name) for name in ("keep", "keep_best", "keep_every"))
        save_checkpoint(self._out / "checkpoints", found, keep=keep, best=best, every=every)

    def _restore(self, found: Checkpoint) -> None:
        """Takes up a checkpoint; the masters in the model's own order, as a fresh start has them.

        The order matters: the norm of the gradients is a sum over them, and another order rounds otherwise.
        """
        if found.step > self._recipe.steps:
            raise RunError(
                f"{self._out}: the newest checkpoint is of step {found.step}, the run has {self._recipe.steps}; "
                "give at least as many train.steps, or another run_dir"
            )
        other = [name for name, digest in found.origin.items() if self._origin.get(name, digest) != digest]
        unknown = sorted({*found.counters} - {*vars(Counters())})
        if other or unknown:
            what = f"is of another {' and another '.join(other)}" if other else f"counts {', '.join(unknown)}"
            raise RunError(
                f"{self._out}: the checkpoint of step {found.step} {what}, unlike this run; give another run_dir, or "
                "resume=never"
            )
        state = {name: array for name, array in found.arrays.items() if name.startswith("optimizer.")}
        masters = [(name, array) for name, array in found.arrays.items() if name not in state]
        self._model.load_weights(masters, strict=False)
        self._masters = self._model.trainable_parameters()
        arrays = {name.removeprefix("optimizer."): array for name, array in state.items()}
        self._state = self._update.restore(self._masters, arrays)
        self.first, self.counters = found.step, Counters(**found.counters)
        log.info("going on from step %d of %d", found.step, self._recipe.steps)


def _forward(model: nn.Module, recipe: Recipe, *, split: bool) -> Forward:
    """How losses are computed: at the positions that count if the model has a head that can be taken apart."""
    chunk = recipe.memory.head_chunk
    head = find_head(model) if chunk is not None else None
    if chunk is not None and (head is None or not head.frozen):
        log.info("the %s model has no head of its own; logits are computed at every position", model_type(model))
        head = None
    return Forward(model, recipe.loss, head, chunk=chunk or 1, split=split)


def _key(seed: int, step: int) -> mx.array:
    """The key of one step's dropout: the same however many steps the run has, so that a longer one begins alike."""
    return mx.array(np.random.SeedSequence([seed, step]).generate_state(2, np.uint32))
