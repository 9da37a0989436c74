"""A fixed number of rows a batch, in random order, padded to the longest: what most tools do, kept for comparison."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tasks.artifact import Record


class Padded(Record):
    """Batches of `size` rows.

    Attributes:
        size: rows a batch; the last batch of an epoch holds what is left.
    """

    kind: Literal["padded"] = "padded"
    size: Annotated[int, Field(ge=1)] = 8

    def plan(self, lengths: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
        """The examples of each batch of one epoch, in the order of `rng`.

        Example:
            >>> batches = Padded(size=2).plan([5, 9, 4], np.random.default_rng(0))
            >>> sorted(i for batch in batches for i in batch), [len(batch) for batch in batches]
            ([0, 1, 2], [2, 1])
        """
        order = rng.permutation(len(lengths)).tolist()
        return [order[i : i + self.size] for i in range(0, len(order), self.size)]
