"""The value of a function and its gradient at once: `mx.value_and_grad` with clear errors.

MLX differentiates an integer argument to integers without a word, reports a wrong leaf without saying where, and
returns the gradients of `argnums=[2, 0]` in the order 0, 2.
"""

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from tasks.grad.tree import Tree, is_differentiable, named_leaves


def value_and_grad(fn: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Any, Any]]:
    """A function that returns (what `fn` returns, the gradients), to be called any number of times.

    Args:
        fn: returns a scalar, or a tuple whose first item is the scalar to differentiate; the others are auxiliary,
            of any type, and come back as they are. A `LossSum` is such a tuple.
        argnums: the positional argument to differentiate, a tree of floating-point arrays; or several, and then the
            gradients are a tuple in that order. Each gradient is a tree like its argument.

    Raises:
        ValueError: at once for negative, repeated or no `argnums`; at the call for an argument that is not there, or
            a result that is not a scalar.
        TypeError: at the call, for a leaf that is not a floating-point array; it is named.

    Example:
        >>> step = value_and_grad(lambda w, x: ((w * x).sum(), "aux"))
        >>> step(mx.array([1.0, 2.0]), mx.array([3.0, 4.0]))
        ((array(11, dtype=float32), 'aux'), array([3, 4], dtype=float32))
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise ValueError(f"argnums is {argnums!r}; give positions from 0 up, each once")
    transformed = mx.value_and_grad(fn, argnums=list(numbers))

    def call(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if max(numbers) >= len(args):
            raise ValueError(f"argnums names argument {max(numbers)}, the call has {len(args)} positional ones")
        for number in numbers:
            check_differentiable(args[number], f"argument {number}")
        value, grads = transformed(*args, **kwargs)
        if isinstance(argnums, int):
            return value, grads
        # MLX returns them in the order of the arguments, whatever order was asked for, and a single one bare.
        by_number = dict(zip(sorted(numbers), [grads] if len(numbers) == 1 else grads, strict=True))
        return value, tuple(by_number[number] for number in numbers)

    return call


def check_differentiable(tree: Tree, name: str) -> None:
    """Raises TypeError unless every leaf of the tree is a floating-point array."""
    for path, leaf in named_leaves(tree, name):
        if not is_differentiable(leaf):
            what = f"an array of {leaf.dtype}" if isinstance(leaf, mx.array) else f"a {type(leaf).__name__}"
            raise TypeError(f"{path} is {what}; only floating-point arrays can be differentiated, close over others")
