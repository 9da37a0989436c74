"""A model in evaluation mode, or MLX without its compiler, for as long as a `with` lasts."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import mlx.core as mx
import mlx.nn as nn

from tasks.patch.attributes import one_thread, replaced

_uncompiled = 0


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts a model into evaluation mode; on leaving, each of its modules has the mode it had.

    Raises:
        GraftlineError: another thread has a patch in force.

    Example:
        >>> model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5).eval())
        >>> with evaluating(model):
        ...     [layer.training for layer in model.layers]
        [False, False]
        >>> [layer.training for layer in model.layers]
        [True, False]
    """
    with ExitStack() as stack:
        for module in model.modules():
            stack.enter_context(replaced(module, "_training", False))
        yield


@contextmanager
def uncompiled() -> Iterator[None]:
    """Functions of `mx.compile` run as they are written; may be nested.

    Raises:
        GraftlineError: another thread has a patch in force.
    """
    global _uncompiled
    with one_thread():
        mx.disable_compile()
        _uncompiled += 1
        try:
            yield
        finally:
            _uncompiled -= 1
            if not _uncompiled:
                mx.enable_compile()
