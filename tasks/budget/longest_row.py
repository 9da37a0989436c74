"""Finds the longest row that a budget trains: one example, every token of it supervised, one row a step."""

import numpy as np

from tasks.batch import Packed
from tasks.batch.batch import Batch, make_batch
from tasks.budget.anatomy import Anatomy
from tasks.budget.training import footprint
from tasks.step.recipe import Recipe

STEP = 128
"""Lengths are multiples of it."""

FIRST = (512, 1024)
"""Lengths that are looked at first; memory grows about linearly from there."""

TRIES = 6
"""Lengths that are predicted at most (tests/bench/memory_model.py has the seconds of a prediction)."""


def longest_row(anatomy: Anatomy, recipe: Recipe, most: int) -> int:
    """The most tokens of a row that fit `recipe.memory.budget`, a multiple of STEP and at most `most`; 0 if none does.

    Memory is predicted for a few lengths, each chosen by a straight line through those nearest to the budget.

    Args:
        anatomy: of the base with the adapter attached.
        recipe: how it would be trained; its layout does not matter.
        most: tokens that the model was made for.
    """
    excess: dict[int, int] = {}

    def over(length: int) -> int:
        if length not in excess:
            how = recipe.model_copy(update={"layout": Packed(tokens=length)})
            excess[length] = (
                footprint(anatomy, how, [_row(length)], limit=recipe.memory.budget).total - recipe.memory.budget
            )
        return excess[length]

    most -= most % STEP
    low, high = 0, most + STEP  # low fits, high does not or is too long
    for length in FIRST:
        if low < length < high:
            low, high = (length, high) if over(length) <= 0 else (low, length)
    for _ in range(TRIES):
        if high - low <= STEP:
            break
        guess = _between(low, high, excess)
        low, high = (guess, high) if over(guess) <= 0 else (low, guess)
    return low


def _between(low: int, high: int, excess: dict[int, int]) -> int:
    """A length between two, where the line through the two nearest to the budget meets it."""
    (a, left), (b, right) = (
        sorted(sorted(excess.items(), key=lambda pair: abs(pair[1]))[:2])
        if len(excess) > 1
        else [
            (low, -1),
            (high, 1),
        ]
    )
    middle = (low + high) // 2 if high in excess else min(4 * max(low, STEP), high)
    guess = int(a - left * (b - a) / (right - left)) if right > left else middle
    guess -= guess % STEP
    return min(max(guess, low + STEP), high - STEP)


def _row(length: int) -> Batch:
    return make_batch([[(np.zeros(length + 1, np.int32), np.ones(length + 1, np.float32))]], [0], width=length)
