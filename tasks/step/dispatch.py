"""Dispatches steps to the device: each takes its batches, its rate and its key, all functions of its number."""

from typing import NamedTuple

import mlx.core as mx
import numpy as np

from tasks.batch import Batch, Rows, windows
from tasks.step.forward import Forward
from tasks.step.recipe import Recipe
from tasks.step.training_state import State
from tasks.step.update import Update, Updated


class InFlight(NamedTuple):
    """A step that the device may still be computing.

    Attributes:
        step: its number, counted from 1.
        rate: its learning rate.
        window: its batches.
        done: its results, which may still be pending.
    """

    step: int
    rate: float
    window: list[Batch]
    done: Updated


class Dispatcher:
    """Dispatches one step after the other.

    Args:
        forward: makes arrays of batches.
        update: the step.
        rows: what is trained on.
        recipe: their order, how many batches are a step, the rate.
    """

    def __init__(self, forward: Forward, update: Update, rows: Rows, recipe: Recipe):
        self._forward, self._update, self._rows, self._recipe = forward, update, rows, recipe
        self.enter(0)

    def enter(self, step: int) -> None:
        """Goes to the place in the data after some steps."""
        recipe = self._recipe
        size = recipe.train.accumulate
        self._windows = windows(self._rows, recipe.layout, seed=recipe.seed, size=size, start=step)

    def dispatch(self, state: State) -> InFlight:
        """Dispatches the step after a state to the device, and does not wait for it."""
        recipe, step = self._recipe, state.step + 1
        window = next(self._windows)
        rate = recipe.optim.rate(step - 1, recipe.steps) * state.counters.rate_factor
        arrays = [self._forward.arrays(batch) for batch in window]
        done = self._update(state.masters, state.optimizer, arrays, _key(recipe.seed, step), rate)
        mx.async_eval(done)
        return InFlight(step, rate, window, done)


def _key(seed: int, step: int) -> mx.array:
    """The key of one step's dropout: the same however many steps the run has, so that a longer one begins alike."""
    return mx.array(np.random.SeedSequence([seed, step]).generate_state(2, np.uint32))
