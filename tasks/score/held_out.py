"""The held-out rows that an adapter is scored on, and those of them that it answers."""

from functools import cached_property

import numpy as np

from tasks.data import TokenCache, TokenSplit
from tasks.errors import DataError
from tasks.settings import Evaluate


class HeldOut:
    """The test rows, or the validation rows where there are none; as many as the settings take.

    Attributes:
        name: of the split; empty where nothing is evaluated (`evaluate.examples=0`).
        rows: the first of its rows; none where nothing is evaluated.

    Raises:
        DataError: there are no held-out rows, and there is something to evaluate.
    """

    def __init__(self, cache: TokenCache, settings: Evaluate):
        names = [name for name in ("test", "valid") if name in cache.splits]
        if not names and settings.examples != 0:
            raise DataError(
                "there are no held-out rows to evaluate on; give data.valid or data.test, or data.valid_share, or "
                "train on all rows and evaluate nothing (evaluate=off)"
            )
        self.name = "" if settings.examples == 0 else names[0]
        self.rows = First(cache.split(self.name or "train"), settings.examples)
        self._generate = settings.generate

    @cached_property
    def asked(self) -> list[int]:
        """The rows that are answered: the first that have a prompt."""
        return [i for i in range(len(self.rows)) if self.rows.prompt_length(i)][: self._generate]

    @property
    def longest_prompt(self) -> int:
        """Tokens of the longest prompt of those."""
        return max((self.rows.prompt_length(i) for i in self.asked), default=0)

    def check_positions(self, new_tokens: int, table: int) -> None:
        """Refuses answers that would go beyond a table of learned positions.

        Args:
            new_tokens: the longest answer.
            table: the rows of that table.

        Raises:
            DataError: naming the three numbers.
        """
        if self.asked and self.longest_prompt + new_tokens > table:
            raise DataError(
                f"the longest held-out prompt has {self.longest_prompt} tokens and evaluate.max_new_tokens is "
                f"{new_tokens}, the model has {table} positions; lower it, or set evaluate.generate=0"
            )

    @property
    def prompts(self) -> list[list[int]]:
        """The token ids of their prompts."""
        return [self.rows.ids(i)[: self.rows.prompt_length(i)].tolist() for i in self.asked]

    @property
    def references(self) -> list[list[int]]:
        """The token ids of the answers that are learned after them, each with its end."""
        start, stop = self.rows.prompt_length, self.rows.answer_stop
        return [self.rows.ids(i)[start(i) : stop(i)].tolist() for i in self.asked]


class First:
    """The first examples of a split."""

    def __init__(self, rows: TokenSplit, limit: int | None):
        self._n = len(rows) if limit is None else min(len(rows), limit)
        self.lengths: np.ndarray = rows.lengths[: self._n]
        self.ids, self.weights = rows.ids, rows.weights
        self.prompt_length, self.answer_stop = rows.prompt_length, rows.answer_stop

    def __len__(self) -> int:
        return self._n
