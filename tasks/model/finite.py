"""Checks that every weight of a base is a finite number: one that is not makes every loss NaN, like a bad batch."""

from typing import cast

import mlx.core as mx
from mlx.utils import tree_flatten

from tasks.errors import ModelError
from tasks.model.base import Base, model_folder
from tasks.model.weight_files import weight_files

PIECE = 2**22
"""Entries that are checked at a time."""


def require_finite(base: Base) -> None:
    """Reads every floating-point weight once, a piece at a time.

    Raises:
        ModelError: one is NaN or infinite; names the file and the tensor.
    """
    named = cast(list[tuple[str, mx.array]], tree_flatten(base.model.parameters()))
    for name, array in sorted(named):
        if mx.issubdtype(array.dtype, mx.floating) and not _is_finite(array):
            files, source = weight_files(model_folder(base.source)), base.source
            where = f"{files[name]}: " if name in files else ""
            cast_to = "" if source.dtype == "auto" else f" as {source.dtype} (model.dtype)"
            raise ModelError(
                f"model.path={source.path!r}: {where}{name} contains NaN or an infinite number{cast_to}; every loss "
                "would be NaN: fetch or convert the model again"
            )


def _is_finite(array: mx.array) -> bool:
    flat = mx.contiguous(array).reshape(-1)
    return all(bool(mx.isfinite(flat[start : start + PIECE]).all()) for start in range(0, flat.size, PIECE))
