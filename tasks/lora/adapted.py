"""What every adapted layer has in common: the frozen projection inside it, and the names of what it trains."""

from typing import ClassVar

import mlx.core as mx
import mlx.nn as nn


class Adapted(nn.Module):
    """A projection with an adapter on it.

    Attributes:
        trained: names of the parameters that are trained, float32; everything else is frozen.
        scaled: those of them that `scale` multiplies, so that it can be taken into them: see `attach.unscaled`.
        linear: the frozen projection.
        scale: the factor of the update.
    """

    trained: ClassVar[tuple[str, ...]]
    scaled: ClassVar[tuple[str, ...]] = ()

    linear: nn.Module
    scale: float
    _key: mx.array | None  # of this step's dropout; MLX counts no name with an underscore as a parameter
