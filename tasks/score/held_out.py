"""The held-out rows that an adapter is scored on, and those of them that it answers."""

from functools import cached_property

import numpy as np

from tasks.data import TokenCache, TokenSplit
from tasks.errors import DataError
from tasks.settings import Evaluate


class HeldOut:
    """The test rows, or the validation rows where there are none; as many as the settings take.

    Attributes:
        name: of the split.
        rows: the first of its rows.

    Raises:
        DataError: there are no held-out rows.
    """

    def __init__(self, cache: TokenCache, settings: Evaluate):
        names = [name for name in ("test", "valid") if name in cache.splits]
        if not names:
            raise DataError(
                "there are no held-out rows to evaluate on; give data.valid or data.test, or data.valid_share"
            )
        self.name, self.rows = names[0], First(cache.split(names[0]), settings.examples)
        self._generate = settings.generate

    @cached_property
    def asked(self) -> list[int]:
        """The rows that are answered: the first that have a prompt."""
        return [i for i in range(len(self.rows)) if self.rows.prompt_length(i)][: self._generate]

    @property
    def longest_prompt(self) -> int:
        """Tokens of the longest prompt of those."""
        return max((self.rows.prompt_length(i) for i in self.asked), default=0)


class First:
    """The first examples of a split."""

    def __init__(self, rows: TokenSplit, limit: int | None):
        self._n = min(len(rows), limit or len(rows))
        self.lengths: np.ndarray = rows.lengths[: self._n]
        self.ids, self.weights = rows.ids, rows.weights
        self.prompt_length, self.answer_stop = rows.prompt_length, rows.answer_stop

    def __len__(self) -> int:
        return self._n
