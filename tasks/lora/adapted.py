"""The base class of adapted layers: a frozen projection inside, and the names of the parameters that are trained."""

from typing import ClassVar

import mlx.core as mx
import mlx.nn as nn


class Adapted(nn.Module):
    """A projection with an adapter on it.

    Attributes:
        trained: names of the parameters that are trained, float32; everything else is frozen.
        scaled: those of `trained` that `scale` multiplies, so that they can take it in: see `attach.unscaled`.
        linear: the frozen projection.
        scale: the factor of the update.
    """

    trained: ClassVar[tuple[str, ...]]
    scaled: ClassVar[tuple[str, ...]] = ()

    linear: nn.Module
    scale: float
    _key: mx.array | None  # this step's dropout key; MLX counts no name with an underscore as a parameter
