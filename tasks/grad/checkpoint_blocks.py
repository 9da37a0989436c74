"""Gradient checkpointing of a model's blocks, switched on for as long as a `with` lasts.

mlx-lm patches the blocks' class, which reaches every other model of the process and stacks when done twice. Here
each block instance is given a subclass of its own class instead: parameter names, `isinstance` and other models stay
as they are, and leaving the block of code undoes it.
"""

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from tasks.grad.checkpoint import checkpoint
from tasks.model.causal_lm import KeyValueCache
from tasks.patch import other_class

Stores = list[tuple[mx.array | None, mx.array | None]]
"""The keys and values of some caches."""


@contextmanager
def checkpoint_blocks(blocks: Iterable[nn.Module], every: int = 1) -> Iterator[None]:
    """Recomputes the activations of blocks in the backward pass instead of keeping them.

    Gradients flow to a block's trainable parameters and to every floating-point array it is called with, except
    arguments with `mask` in their name, which are constants: fused attention refuses to differentiate one.

    A block runs twice for each backward pass. Layers that draw random numbers must take them from an explicit key,
    kept in an attribute such as `_key`, not from MLX's global state: then both runs draw the same ones. A cache
    passed to a block is updated twice; the `keys` and `values` of one whose `shared` is true go in and out of the
    block with their gradients, as later blocks read them (gemma3n).

    Args:
        blocks: e.g. `model.layers`. One that is checkpointed already does not recompute twice.
        every: the distance of those that are checkpointed: 1 takes all, 2 the first, third, fifth ... of them.

    Raises:
        ValueError: `every` is below 1.
        TypeError: one of the blocks is not a module.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> with checkpoint_blocks([layer]):
        ...     type(layer) is nn.Linear, isinstance(layer, nn.Linear)
        (False, True)
        >>> type(layer) is nn.Linear
        True
    """
    if every < 1:
        raise ValueError(f"every is {every}; give 1 for all blocks, 2 for every second one, and so on")
    chosen = list(blocks)[::every]
    for block in chosen:
        if not isinstance(block, nn.Module):
            raise TypeError(f"a block is a {type(block).__name__}; only modules can be checkpointed")
    with other_class(chosen, _checkpointed):
        yield


def is_checkpointed(block: nn.Module) -> bool:
    """Whether a `checkpoint_blocks` is in force for this block."""
    return getattr(type(block), "graftline_checkpointed", False)


@cache
def _checkpointed(cls: type[nn.Module]) -> type[nn.Module]:
    """The subclass of `cls` whose call is checkpointed; one per class, so that `type(a) is type(b)` stays true."""
    forward: Any = cls.__call__
    names = list(inspect.signature(forward).parameters)  # 0 is self, where `run` below has the parameters and stores
    masks = {key for i, name in enumerate(names) if "mask" in name for key in (i + 1, name)}

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        caches = [x for x in (*args, *kwargs.values()) if getattr(x, "shared", False)]

        def run(parameters: Any, stores: Stores, *args: Any, **kwargs: Any) -> Any:
            held = self.trainable_parameters()
            self.update(parameters)
            _put(caches, stores)
            try:
                return forward(self, *args, **kwargs), _stores(caches)
            finally:
                self.update(held)  # or the tracers of this pass would stay in the model

        run = checkpoint(run, constants=masks)
        output, stores = run(self.trainable_parameters(), _stores(caches), *args, **kwargs)
        _put(caches, stores)
        return output

    body = {"__call__": call, "__module__": cls.__module__, "__doc__": cls.__doc__, "graftline_checkpointed": True}
    return type(cls.__name__, (cls,), body)


def _stores(caches: list[KeyValueCache]) -> Stores:
    """The keys and values of the caches, which blocks that share one hand on to each other."""
    return [(one.keys, one.values) for one in caches]


def _put(caches: list[KeyValueCache], stores: Stores) -> None:
    for one, (keys, values) in zip(caches, stores, strict=True):
        one.keys, one.values = keys, values
