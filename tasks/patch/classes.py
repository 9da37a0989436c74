"""Another class for some layers of a model, for as long as a `with` lasts."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.nn as nn


@contextmanager
def other_class(layers: Iterable[nn.Module], become: Callable[[Any], type]) -> Iterator[None]:
    """Within the block each layer has the class that `become` gives of its own; undone on leaving, errors included.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> with other_class([layer], lambda cls: type("Mine", (cls,), {})):
        ...     type(layer).__name__
        'Mine'
        >>> type(layer) is nn.Linear
        True
    """
    before = [(layer, type(layer)) for layer in layers]
    try:
        for layer, cls in before:
            object.__setattr__(layer, "__class__", become(cls))
        yield
    finally:
        for layer, cls in before:
            object.__setattr__(layer, "__class__", cls)
