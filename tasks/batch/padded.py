"""A fixed number of rows a batch, in random order, padded to the longest: what most tools do, kept for comparison."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tasks.artifact import Record
from tasks.batch.batch import padded_width


class Padded(Record):
    """Batches of `size` rows.

    Attributes:
        size: rows a batch; the last batch of an epoch holds what is left.
    """

    packs: ClassVar[bool] = False
    kind: Literal["padded"] = "padded"
    size: Annotated[int, Field(ge=1)] = 8

    def plan(self, lengths: Sequence[int], rng: np.random.Generator) -> list[list[list[int]]]:
        """The one example of each row of each batch of one epoch, in the order of `rng`.

        Example:
            >>> plan = Padded(size=2).plan([5, 9, 4], np.random.default_rng(0))
            >>> sorted(row for batch in plan for row in batch), [len(batch) for batch in plan]
            ([[0], [1], [2]], [2, 1])
        """
        rows = [[index] for index in rng.permutation(len(lengths)).tolist()]
        return [rows[i : i + self.size] for i in range(0, len(rows), self.size)]

    def width(self, filled: int, longest: int = 0) -> int:
        """The width of a batch whose fullest row has `filled` positions."""
        return padded_width(1 + filled)
