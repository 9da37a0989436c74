"""Layouts: how the examples of an epoch become batches, each example used exactly once.

A layout is a pure function of the lengths, the seed and the epoch, so a position in the stream is one number and
resuming needs nothing else.
"""

from typing import Annotated

from pydantic import Field

from tasks.artifact import kinds
from tasks.batch.batch import Batch, make_batch
from tasks.batch.bucketed import Bucketed
from tasks.batch.packed import Packed
from tasks.batch.padded import Padded
from tasks.batch.stream import (
    Layout,
    Rows,
    batches,
    epoch_batches,
    first_tokens,
    padding_share,
    shapes,
    stream,
    windows,
)

AnyLayout = Annotated[Packed | Bucketed | Padded, Field(discriminator="kind")]
"""A configured layout. A new one is named here, and nowhere else."""

LAYOUTS: dict[str, type[AnyLayout]] = kinds(AnyLayout)
"""The kinds of the `batch` config group."""

__all__ = [
    "LAYOUTS",
    "AnyLayout",
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
    "windows",
]
