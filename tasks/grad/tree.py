"""Takes the arrays out of a tree of arguments, and puts others in their place.

MLX's transformations want trees of nothing but arrays; real calls also pass None, flags, caches and modules.
Lists, tuples, named tuples and dicts are looked into. Anything else is a leaf, an `nn.Module` too, though it is a
dict: rebuilding it would make it a plain one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

Tree = Any
"""Lists, tuples, named tuples and dicts, however deep, down to leaves: arrays, and in arguments anything else."""


@dataclass(frozen=True)
class Slot:
    """Stands for the array of this number in a skeleton."""

    index: int


def is_array(leaf: object) -> bool:
    """Whether a leaf is an MLX array."""
    return isinstance(leaf, mx.array)


def is_differentiable(leaf: object) -> bool:
    """Whether a leaf is an array with a derivative: floating or complex, neither integer, bool nor PRNG key."""
    return isinstance(leaf, mx.array) and mx.issubdtype(leaf.dtype, mx.inexact)


def split(tree: Tree, chosen: Callable[[Any], bool] = is_differentiable) -> tuple[list[mx.array], Tree]:
    """The chosen leaves of a tree in order, and its skeleton, where each is replaced by its `Slot`.

    Example:
        >>> split({"x": mx.array(1.5), "ids": [None, 3]})
        ([array(1.5, dtype=float32)], {'x': Slot(index=0), 'ids': [None, 3]})
    """
    arrays: list[mx.array] = []

    def take(leaf: Any) -> Any:
        if not chosen(leaf):
            return leaf
        arrays.append(leaf)
        return Slot(len(arrays) - 1)

    return arrays, map_leaves(take, tree)


def join(skeleton: Tree, arrays: list[mx.array]) -> Tree:
    """The tree of a skeleton with these arrays in its slots.

    Example:
        >>> join(*reversed(split((mx.array(1.5), None))))
        (array(1.5, dtype=float32), None)
    """
    return map_leaves(lambda leaf: arrays[leaf.index] if isinstance(leaf, Slot) else leaf, skeleton)


def map_leaves(fn: Callable[[Any], Any], tree: Tree) -> Tree:
    """Applies `fn` to each leaf of a tree, in order."""
    if type(tree) is list:
        return [map_leaves(fn, item) for item in tree]
    if type(tree) is dict:
        return {key: map_leaves(fn, item) for key, item in tree.items()}
    if isinstance(tree, tuple):
        items = [map_leaves(fn, item) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else tuple(items)
    return fn(tree)


def named_leaves(tree: Tree, name: str) -> list[tuple[str, Any]]:
    """(path, leaf) of each leaf, for messages: `argument 0['w'][1]`."""
    if isinstance(tree, dict):
        return [pair for key, item in tree.items() for pair in named_leaves(item, f"{name}[{key!r}]")]
    if isinstance(tree, list | tuple):
        return [pair for i, item in enumerate(tree) for pair in named_leaves(item, f"{name}[{i}]")]
    return [(name, tree)]
