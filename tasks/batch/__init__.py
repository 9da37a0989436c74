"""Layouts: how the examples of an epoch become batches, each example used exactly once.

A layout is a pure function of the lengths, the seed and the epoch, so a position in the stream is one number and
resuming needs nothing else.
"""

from tasks.batch.batch import Batch, make_batch
from tasks.batch.bucketed import Bucketed
from tasks.batch.packed import Packed
from tasks.batch.padded import Padded
from tasks.batch.stream import Layout, Rows, batches, epoch_batches, first_tokens, padding_share, shapes, stream

LAYOUTS: dict[str, type[Packed] | type[Padded] | type[Bucketed]] = {
    "packed": Packed,
    "bucketed": Bucketed,
    "padded": Padded,
}
"""The kinds of the `batch` config group."""

__all__ = [
    "LAYOUTS",
    "Batch",
    "Bucketed",
    "Layout",
    "Packed",
    "Padded",
    "Rows",
    "batches",
    "epoch_batches",
    "first_tokens",
    "make_batch",
    "padding_share",
    "shapes",
    "stream",
]
