"""Another class for some layers of a model, for as long as a `with` lasts."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import mlx.nn as nn

from tasks.patch.attributes import wrapped


@contextmanager
def other_class(layers: Iterable[nn.Module], become: Callable[[Any], type]) -> Iterator[None]:
    """Within the block each layer has the class that `become` gives of its own; undone on leaving, errors included.

    Entered again with the same `become`, a layer is left as it is. May be left in any order.

    Raises:
        GraftlineError: another thread has a patch in force.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> with other_class([layer], lambda cls: type("Mine", (cls,), {})):
        ...     type(layer).__name__
        'Mine'
        >>> type(layer) is nn.Linear
        True
    """
    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(wrapped(layer, "__class__", become))
        yield
