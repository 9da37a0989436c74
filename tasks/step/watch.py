"""Decides what follows a step that is not finite (train.on_bad); reports loss spikes."""

import logging
import math
from pathlib import Path
from typing import Literal

from tasks.batch import Batch, Rows
from tasks.errors import RunError
from tasks.settings import Train
from tasks.sink import Counters
from tasks.step.bad_batch import BAD_BATCH, write_bad_batch
from tasks.step.spike import spike_limit

log = logging.getLogger(__name__)
SKIPPED_IN_A_ROW = 10
"""Steps in a row that train.on_bad=skip skips before the run stops all the same: nothing is learned then."""
RESTORES = 5
"""How often train.on_bad=restore goes back before the run stops all the same: the rate is not what is wrong then."""

Verdict = Literal["sound", "spike", "skip", "restore"]


class Watch:
    """Judges each step, writes down the examples of a bad one, and decides what follows.

    Args:
        out: the run directory, for bad_batch.json.
        rows: what is trained on.
        train: the policy.
    """

    def __init__(self, out: Path, rows: Rows, train: Train):
        self._out, self._rows, self._train = out, rows, train

    def step(self, step: int, loss: float, norm: float, window: list[Batch], counters: Counters) -> Verdict:
        """Judges a step.

        Args:
            step: its number, counted from 1.
            loss: its loss.
            norm: the norm of its gradient.
            window: its batches.
            counters: the sums over the steps before it.

        Raises:
            RunError: it is not finite, and the policy is to stop, or has been tried often enough.
        """
        limit = spike_limit(counters.recent, self._train.spike)
        sound = math.isfinite(loss) and math.isfinite(norm)
        if sound and loss <= limit:
            return "sound"
        examples = [index for batch in window for index in batch.examples]
        why = "spike" if sound else "not finite"
        write_bad_batch(
            self._out, self._rows, examples, why=why, step=step, restores=counters.restores, loss=loss, grad_norm=norm
        )
        message = f"step {step}: the loss is {loss}, the gradient norm {norm}, on training examples {examples[:16]}"
        if sound:
            log.warning("%s: a spike, beyond %.4g (bad_batch.json names their lines)", message, limit)
            return "spike"
        if self._train.on_bad == "restore":
            return self._restore(message, counters)
        if self._train.on_bad == "stop":
            raise RunError(
                f"{message}; nothing was updated. Lower optim.lr, or look at those rows ({self._out / BAD_BATCH} names "
                "their lines), or go on all the same with train.on_bad=skip or restore"
            )
        if counters.skipped_in_a_row + 1 >= SKIPPED_IN_A_ROW:
            raise RunError(f"{message}, as on the {SKIPPED_IN_A_ROW - 1} steps before; lower optim.lr")
        log.warning("%s; skipped, nothing was updated", message)
        return "skip"

    def validation(self, step: int, loss: float, counters: Counters) -> Verdict:
        """Judges a validation; one that is not finite is never skipped, as the update has landed.

        Raises:
            RunError: it is not finite, and the policy is not to restore, or that has been tried often enough.
        """
        if math.isfinite(loss):
            return "sound"
        message = f"step {step}: the validation loss is {loss} after this step's update"
        if self._train.on_bad == "restore":
            return self._restore(message, counters)
        raise RunError(f"{message}; lower optim.lr")

    def _restore(self, message: str, counters: Counters) -> Verdict:
        if counters.restores >= RESTORES:
            raise RunError(f"{message}, though the run has gone back {RESTORES} times, to lower and lower rates")
        log.warning("%s; going back", message)
        return "restore"
