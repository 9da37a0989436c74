"""Several examples a row, rows of one length: hardly any padding, and one shape for a compiled step.

Attention is kept inside each example by the trainer (tasks/attention), so that a packed row trains as its examples
alone would. Rows are filled first-fit decreasing inside windows of shuffled examples: longest first, each into the
fullest row that still takes it. There are two lengths of row at most: examples longer than the usual one share rows
that hold the longest of all, so that a compiled step is traced for few shapes.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tasks.artifact import Record
from tasks.batch.batch import positions

WINDOW = 4096
"""Examples that are packed together: enough to fill rows well, few enough that an epoch stays shuffled."""


class Packed(Record):
    """Batches of `size` rows of `tokens` positions.

    Attributes:
        tokens: positions a row; examples that do not fit go into wide rows, of twice, four times ... as many, as the
            longest example needs.
        size: rows a batch; wide rows come in batches of as many positions.
    """

    packs: ClassVar[bool] = True
    kind: Literal["packed"] = "packed"
    tokens: Annotated[int, Field(ge=16, multiple_of=16)] = 2048
    size: Annotated[int, Field(ge=1)] = 1

    def plan(self, lengths: Sequence[int], rng: np.random.Generator) -> list[list[list[int]]]:
        """The examples of each row of each batch of one epoch, in the order of `rng`.

        A batch that is short of rows is filled up with empty ones, so that it keeps its shape.

        Example:
            >>> plan = Packed(tokens=16, size=2).plan([9, 40, 9, 9, 9, 9], np.random.default_rng(0))
            >>> sorted(sorted(row) for batch in plan for row in batch if row)
            [[0, 4], [1, 2, 3, 5]]
        """
        order = rng.permutation(len(lengths)).tolist()
        longest = positions(max(lengths, default=0))
        rows: dict[int, list[list[int]]] = {}
        for start in range(0, len(order), WINDOW):
            for row in self._fill(order[start : start + WINDOW], lengths, longest):
                rows.setdefault(self.width(sum(positions(lengths[i]) for i in row), longest), []).append(row)
        batches: list[list[list[int]]] = []
        for width, members in sorted(rows.items()):
            shuffled = [members[i] for i in rng.permutation(len(members))]
            size = max(1, self.size * self.tokens // width)
            for at in range(0, len(shuffled), size):
                batch = shuffled[at : at + size]
                batches.append(batch + [[] for _ in range(size - len(batch))])
        return [batches[i] for i in rng.permutation(len(batches)).tolist()]

    def width(self, filled: int, longest: int) -> int:
        """The width of a row with `filled` positions: `tokens`, or the doubling of it that holds the longest example.

        Args:
            filled: positions taken.
            longest: positions of the longest of all examples.
        """
        width = self.tokens
        while filled > self.tokens and width < longest:
            width *= 2
        return width

    def _fill(self, window: list[int], lengths: Sequence[int], longest: int) -> list[list[int]]:
        rows: list[list[int]] = []
        room: list[tuple[int, int]] = []  # (positions left, row), sorted, so that the fullest row that fits is found
        for index in sorted(window, key=lambda i: -lengths[i]):
            wanted = positions(lengths[index])
            at = bisect_left(room, (wanted, -1))
            if at < len(room):
                left, row = room.pop(at)
            else:
                left, row = self.width(wanted, longest), len(rows)
                rows.append([])
            rows[row].append(index)
            if left > wanted:
                insort(room, (left - wanted, row))
        return rows
