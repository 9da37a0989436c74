"""Rows of like length together, a token budget a batch: little padding, no mask, and few shapes."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tasks.artifact import Record
from tasks.batch.batch import WIDTH, padded_width


class Bucketed(Record):
    """Batches of at most `tokens` positions, each of rows from one bucket of widths.

    Attributes:
        tokens: positions a batch, padding included; a longer row is a batch of its own.
    """

    kind: Literal["bucketed"] = "bucketed"
    tokens: Annotated[int, Field(ge=1)] = 2048

    def plan(self, lengths: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
        """The examples of each batch of one epoch, in the order of `rng`.

        Example:
            >>> sorted(map(sorted, Bucketed(tokens=64).plan([9, 200, 12, 7], np.random.default_rng(0))))
            [[0, 2], [1], [3]]
        """
        buckets: dict[int, list[int]] = {}
        for index in rng.permutation(len(lengths)).tolist():
            buckets.setdefault(_bucket(lengths[index]), []).append(index)
        batches: list[list[int]] = []
        for width, members in sorted(buckets.items()):
            rows = max(1, self.tokens // width)
            batches += [members[i : i + rows] for i in range(0, len(members), rows)]
        return [batches[i] for i in rng.permutation(len(batches)).tolist()]


def _bucket(length: int) -> int:
    """The width of a row's bucket: multiples of WIDTH up to 4 of them, then four buckets to a doubling."""
    width = padded_width(length)
    step = WIDTH
    while width > 8 * step:
        step *= 2
    return -(-width // step) * step
