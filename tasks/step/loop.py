"""The training loop: from the newest checkpoint, or the start, to the last step; a signal stops it at a checkpoint.

A step is dispatched to the device, and while it computes, the loss of the one before is read and the next batch made.
Everything random is a function of the seed and the step, and the place in the data is a count of batches, so a
checkpoint of the masters, the optimizer's state and the counters is all that going on needs, or going back.
"""

import logging
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, NoReturn

import mlx.nn as nn

from tasks.artifact import is_disk_full
from tasks.batch import Rows, batches
from tasks.checkpoint.interrupt import stop_on_signal
from tasks.errors import Interrupted, RunError
from tasks.memory import usage
from tasks.sink import Counters, Sink, durable
from tasks.step.dispatch import Dispatcher, InFlight
from tasks.step.forward import choose_forward, usual_share
from tasks.step.recipe import Recipe
from tasks.step.training_state import State, States
from tasks.step.update import Masters, Update, is_compiled
from tasks.step.watch import Watch

log = logging.getLogger(__name__)


class Training:
    """One training of the adapter that is attached to a model.

    Args:
        model: the frozen base with the adapter at step 0; `run` leaves the trained parameters in it.
        rows: what is trained on.
        valid: what is validated on; None validates nothing.
        recipe: the settings of the training.
        out: the run directory; training resumes from the newest checkpoint in its `checkpoints/`.
        origin: digests of what the training starts from, by name, such as `data`: a checkpoint with others is refused.

    Attributes:
        first: the step that it resumes from; 0 for a fresh start.

    Raises:
        ConfigError: the recipe goes by the validation loss, and there are no validation rows.
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
        recipe.check_rows(valid is not None)
        self._model, self._valid, self._recipe, self._out = model, valid, recipe, out
        compiled = is_compiled(recipe.train)
        usual = usual_share(rows, recipe.loss) if compiled else None
        self._forward = choose_forward(model, recipe.loss, chunk=recipe.memory.head_chunk, usual=usual)
        update = Update(self._forward, recipe.optim, checkpoint=recipe.memory.checkpoint, compile=compiled)
        self._states = States(model, update, recipe, out, origin or {})
        self._dispatcher = Dispatcher(self._forward, update, rows, recipe)
        self._watch = Watch(out, rows, recipe.train)
        self._sinks: Sequence[Sink] = ()
        self._enter(self._states.first())
        self.first = self._saved = self.step

    @property
    def step(self) -> int:
        """Steps done."""
        return self._state.step

    @property
    def counters(self) -> Counters:
        """The sums and records over the steps so far."""
        return self._state.counters

    @property
    def ended(self) -> Literal["steps", "patience"] | None:
        """Why there is no further step: that was the last one, or nothing better was found for too long."""
        return self._recipe.ended(self.step, self.counters.since_best)

    def run(self, sinks: Sequence[Sink]) -> int:
        """Trains to the end, tells the sinks of each step, and leaves in the model the adapter that is the result.

        Returns:
            Which step's adapter it is.

        Raises:
            RunError: a loss or a gradient is not finite, or the disk is full.
            Interrupted: a signal came; a checkpoint was written first.
        """
        self._sinks, self._began = sinks, time.perf_counter()
        try:
            with stop_on_signal() as stop:
                if self.step == 0 and self._recipe.train.on_bad == "restore":
                    self._save()  # so that there is always a state to go back to
                while self.ended is None and stop.signum is None:
                    self._advance()
                if stop.signum is not None:
                    self._stop(stop.signum)
        except BaseException as error:
            if isinstance(error, Exception) and is_disk_full(error, self._out):
                raise RunError(
                    f"{self._out}: the disk is full at step {self._doing}; make room, then repeat the command with "
                    f"run_dir={self._out} to resume from the last checkpoint"
                ) from error
            error.add_note(f"training step {self._doing} of {self._recipe.steps}")
            raise
        if self._recipe.train.final == "best":
            return self._states.take_best(self.counters.best_step)
        self._model.update(self._state.masters)
        return self.step

    def _advance(self) -> None:
        """One step more; it is read at once where it validates or is saved, or else while the next one computes."""
        self._doing = self.step + 1
        sent = self._dispatcher.dispatch(self._state)
        if not self._read():
            return  # gone back: the step that was dispatched is of no use
        self._unread, done = sent, sent.done
        self._state = State(sent.step, done.masters, done.state, self.counters)
        train = self._recipe.train
        save, validate = (self._recipe.due(self.step, every) for every in (train.save_every, train.eval_every))
        if (save or validate) and not self._read():
            return
        if self._unread is not None:
            return
        best = train.keeps_best and self._valid_loss is not None and self.counters.since_best == 0
        if save or best or self.ended:
            self._save()
        self._began = time.perf_counter()  # validating and saving are no training time

    def _read(self) -> bool:
        """Waits for the step that is not read yet, if there is one, and tells of it; False where it went back."""
        if self._unread is None:
            return True
        (step, rate, window, done), self._unread = self._unread, None
        self._doing, loss, norm = step, float(done.loss.mean), float(done.norm)
        verdict = self._watch.step(step, loss, norm, window, self.counters)
        if verdict == "restore":
            return self._go_back()
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
            spike=verdict == "spike",
        )
        self._began, self._valid_loss = now, None
        if self._valid is not None and self._recipe.due(step, self._recipe.train.eval_every):
            self._valid_loss = self._validate(done.masters, self._valid)
            if self._watch.validation(step, self._valid_loss, self.counters) == "restore":
                return self._go_back()
            metrics = self.counters.validated(metrics, self._valid_loss)
        for sink in self._sinks:
            sink.write(metrics)
        return True

    def _validate(self, masters: Masters, valid: Rows) -> float:
        self._model.update(masters)
        rows = islice(batches(valid, self._recipe.layout, seed=0), self._recipe.train.eval_batches)
        return self._forward.mean(rows)

    def _save(self, *, scheduled: bool = True) -> None:
        assert self._unread is None, "the counters are behind the masters"
        for sink in durable(self._sinks):
            sink.sync()  # before the checkpoint: its metrics are never ahead of those on the disk
        self._states.save(self._state, self._valid_loss, scheduled=scheduled)
        self._saved = self.step

    def _stop(self, signum: int) -> NoReturn:
        """Saves where it is, due or not, and says so."""
        if self._read() and self._saved != self.step:
            self._save(scheduled=False)
        message = f"stopped after step {self.step} of {self._recipe.steps}, checkpoint saved"
        raise Interrupted(message, signum, f"to resume, repeat the command with run_dir={self._out}")

    def _go_back(self) -> Literal[False]:
        """Takes up the last good state at a lower rate.

        It is one that every run of this recipe has: a run that was stopped or killed in between goes back there too.
        """
        restores, factor = self.counters.restores + 1, self.counters.rate_factor * self._recipe.train.backoff
        self._enter(self._states.before())
        self.counters.restores, self.counters.rate_factor = restores, factor
        for sink in durable(self._sinks):
            sink.rewind(self.step)
        log.warning("back at step %d, at %.3g times the learning rate", self.step, factor)
        return False

    def _enter(self, state: State) -> None:
        """Begins at a state: at its place in the data, with nothing on the device."""
        self._state, self._doing = state, state.step
        self._dispatcher.enter(state.step)
        self._unread: InFlight | None = None
        self._valid_loss: float | None = None  # of the step read last
        self._began = time.perf_counter()
