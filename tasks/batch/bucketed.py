"""Rows of like length together, a token budget a batch: little padding, no mask, and few shapes."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tasks.artifact import Record
from tasks.batch.batch import WIDTH, padded_width, positions


class Bucketed(Record):
    """Batches of at most `tokens` positions, each of rows from one bucket of widths.

    Attributes:
        tokens: positions a batch, padding included; a longer row is a batch of its own.
    """

    packs: ClassVar[bool] = False
    kind: Literal["bucketed"] = "bucketed"
    tokens: Annotated[int, Field(ge=1)] = 2048

    def plan(self, lengths: Sequence[int], rng: np.random.Generator) -> list[list[list[int]]]:
        """The one example of each row of each batch of one epoch, in the order of `rng`.

        Example:
            >>> sorted(map(sorted, Bucketed(tokens=32).plan([9, 200, 12, 7], np.random.default_rng(0))))
            [[[0], [2]], [[1]], [[3]]]
        """
        buckets: dict[int, list[list[int]]] = {}
        for index in rng.permutation(len(lengths)).tolist():
            buckets.setdefault(self.width(positions(lengths[index])), []).append([index])
        batches: list[list[list[int]]] = []
        for width, rows in sorted(buckets.items()):
            size = max(1, self.tokens // width)
            batches += [rows[i : i + size] for i in range(0, len(rows), size)]
        return [batches[i] for i in rng.permutation(len(batches)).tolist()]

    def width(self, filled: int, longest: int = 0) -> int:
        """The width of a row's bucket: multiples of WIDTH up to 8 of them, then four buckets to a doubling."""
        width = padded_width(1 + filled)
        step = WIDTH
        while width > 8 * step:
            step *= 2
        return -(-width // step) * step
