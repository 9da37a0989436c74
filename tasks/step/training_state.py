"""Saves and restores the full training state between two steps, bit for bit."""

import logging
from dataclasses import dataclass
from pathlib import Path

import mlx.nn as nn

from tasks.artifact import clear_leftovers
from tasks.checkpoint import Checkpoint, best_checkpoint, newest_checkpoint, save_checkpoint
from tasks.errors import RunError
from tasks.sink import Counters
from tasks.step.recipe import Recipe
from tasks.step.update import Masters, OptimizerState, Update, named

log = logging.getLogger(__name__)
OPTIMIZER = "optimizer."


@dataclass
class State:
    """The state of a training between two steps.

    Attributes:
        step: steps dispatched to the device so far.
        masters: the adapter's parameters, float32.
        optimizer: the optimizer's state.
        counters: the sums and records over the steps whose loss was read.
    """

    step: int
    masters: Masters
    optimizer: OptimizerState
    counters: Counters


class States:
    """The states of one run: where it starts, those on disk, the best of them.

    Args:
        model: the base with the adapter at step 0; a state that is restored is left in it.
        update: the step, whose optimizer is restored.
        recipe: how long the run is, and which states are kept.
        out: the run directory; states are kept in its `checkpoints/`.
        origin: digests of what the run starts from, by name; a checkpoint with others is refused.
    """

    def __init__(self, model: nn.Module, update: Update, recipe: Recipe, out: Path, origin: dict[str, str]):
        self._model, self._update, self._recipe, self._out, self._origin = model, update, recipe, out, origin
        self._folder = out / "checkpoints"
        clear_leftovers(self._folder)

    def first(self) -> State:
        """The newest state on disk, or the one before the first step.

        Raises:
            RunError: the newest is of another dataset, tokenizer, base, adapter, optimizer or Graftline, or of a step
                beyond the last.
        """
        if (checkpoint := newest_checkpoint(self._folder)) is None:
            masters: Masters = self._model.trainable_parameters()
            return State(0, masters, self._update.start(masters), Counters())
        if checkpoint.step > self._recipe.steps:
            raise RunError(
                f"{self._out}: the newest checkpoint is of step {checkpoint.step}, the run has {self._recipe.steps}; "
                "give at least as many train.steps, or another run_dir"
            )
        log.info("going on from step %d of %d", checkpoint.step, self._recipe.steps)
        return self._state(checkpoint)

    def before(self) -> State:
        """The newest state that was due to be saved, or else the start's; not one that only a signal asked for.

        Raises:
            RunError: none is whole.
        """
        if (checkpoint := newest_checkpoint(self._folder, scheduled=True)) is None:
            raise RunError(f"{self._folder} has no whole checkpoint to go back to; begin again with resume=never")
        return self._state(checkpoint)

    def take_best(self, best: int | None) -> int:
        """Puts the adapter of the lowest validation loss into the model; gives its step, which should be `best`.

        Raises:
            RunError: no state that was validated is whole.
        """
        if (checkpoint := best_checkpoint(self._folder)) is None:
            raise RunError(f"{self._folder} has no whole checkpoint of a validation; train.final=last needs none")
        if checkpoint.step != best:
            log.warning("the checkpoint of step %s, the best, is lost; step %d is the best left", best, checkpoint.step)
        self._put(checkpoint)
        return checkpoint.step

    def save(self, state: State, valid_loss: float | None, *, scheduled: bool) -> None:
        """Saves a state, with the validation loss of that very step if there is one."""
        optimizer = {f"{OPTIMIZER}{name}": array for name, array in named(state.optimizer).items()}
        arrays, train = {**named(state.masters), **optimizer}, self._recipe.train
        checkpoint = Checkpoint(state.step, arrays, vars(state.counters), valid_loss, self._origin, scheduled)
        save_checkpoint(self._folder, checkpoint, keep=train.keep, best=train.keeps_best, every=train.keep_every)

    def _state(self, checkpoint: Checkpoint) -> State:
        other = [name for name, digest in checkpoint.origin.items() if self._origin.get(name, digest) != digest]
        unknown = sorted({*checkpoint.counters} - {*vars(Counters())})
        if other or unknown:
            what = f"in its {' and its '.join(other)}" if other else f"by counting {', '.join(unknown)}"
            raise RunError(
                f"{self._out}: the checkpoint of step {checkpoint.step} differs from this run {what}; give another "
                "run_dir, or resume=never"
            )
        saved = checkpoint.arrays.items()
        arrays = {name.removeprefix(OPTIMIZER): array for name, array in saved if name.startswith(OPTIMIZER)}
        masters = self._put(checkpoint)
        return State(checkpoint.step, masters, self._update.restore(masters, arrays), Counters(**checkpoint.counters))

    def _put(self, checkpoint: Checkpoint) -> Masters:
        """Puts a checkpoint's masters into the model; gives them in the model's own order, as a fresh start has them.

        The order matters: the norm of the gradients is a sum over them, and another order rounds otherwise.
        """
        masters = {name: array for name, array in checkpoint.arrays.items() if not name.startswith(OPTIMIZER)}
        model: Masters = self._model.trainable_parameters()
        shapes = [{name: list(array.shape) for name, array in arrays.items()} for arrays in (masters, named(model))]
        if other := sorted(name for name in {*masters, *shapes[1]} if shapes[0].get(name) != shapes[1].get(name)):
            saved, wanted = (shape.get(other[0], "absent") for shape in shapes)
            raise RunError(
                f"{self._out}: the checkpoint of step {checkpoint.step} does not fit the adapter: {other[0]} is "
                f"{saved} there and {wanted} here, {len(other)} tensors differ; go on with the model and the lora "
                "settings of that run, or give another run_dir, or resume=never"
            )
        self._model.load_weights(list(masters.items()), strict=False)
        return self._model.trainable_parameters()
