"""Gradient checkpointing of a function: keep its inputs, forget what it computed, compute it again when needed.

`mx.checkpoint` may start to recompute before the backward pass arrives, as nothing orders the two; it fails on
integer arguments and on a mask that fused attention cannot differentiate. Here the recomputation depends on the
cotangents, so that one block's activations are alive at a time, and what has no gradient is closed over.
"""

from collections.abc import Callable, Collection
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from tasks.grad.products import as_list
from tasks.grad.tree import Tree, is_array, is_differentiable, join, split


def checkpoint(fn: Callable[..., Any], constants: Collection[int | str] = ()) -> Callable[..., Any]:
    """Returns `fn` in a form that stores only its inputs for the backward pass and recomputes the rest there.

    Gradients flow to every floating-point array that is passed as an argument, positional or by keyword, in lists,
    tuples and dicts too. Everything else that is passed is a constant: integers, masks of bools, PRNG keys (so that
    dropout draws the same mask twice), None, modules, caches. `fn` runs twice, so it must have no side effects.

    **Arrays that `fn` captures get no gradient, silently**: MLX cannot tell them from constants. Pass what is
    trained as an argument; for a module, use `checkpoint_blocks`.

    Args:
        fn: returns an array, or a tree of arrays and other values.
        constants: positions and keywords of arguments without a gradient, though they contain floating-point arrays.
            Name an additive attention mask here: fused attention on a GPU refuses to differentiate one, and
            asking for all gradients asks for its too.

    Raises:
        TypeError: `fn` is a module with trainable parameters, or bound to one: those would get no gradient.

    Example:
        >>> def layer(x, w):
        ...     return mx.tanh(x @ w)
        >>> grad = mx.grad(lambda w: checkpoint(layer)(mx.ones((1, 2)), w).sum())
        >>> grad(mx.zeros((2, 2))).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    owner = fn if isinstance(fn, nn.Module) else getattr(fn, "__self__", None)
    if isinstance(owner, nn.Module) and split(owner.trainable_parameters())[0]:
        raise TypeError(
            f"{type(owner).__name__} has trainable parameters, which a checkpoint would give no gradient; "
            "use checkpoint_blocks, or pass them as an argument"
        )

    def call(*args: Any, **kwargs: Any) -> Any:
        numbered: dict[int | str, Any] = {**dict(enumerate(args)), **kwargs}
        arrays, skeleton = split({key: value for key, value in numbered.items() if key not in constants})
        if not arrays:
            return fn(*args, **kwargs)
        outline: Tree = None

        def forward(*inputs: mx.array) -> list[mx.array]:
            nonlocal outline
            filled = {**numbered, **join(skeleton, list(inputs))}
            positional = [filled.pop(i) for i in range(len(args))]
            outputs, outline = split(fn(*positional, **filled), is_array)
            return outputs

        return join(outline, outputs) if (outputs := _recomputed(forward)(*arrays)) else outline

    return call


def _recomputed(forward: Callable[..., list[mx.array]]) -> Callable[..., list[mx.array]]:
    """`forward`, of floating-point arrays, with a backward pass that computes it again."""
    function = mx.custom_function(forward)

    @function.vjp
    def backward(primals: Any, cotangents: Any, outputs: Any) -> list[mx.array]:
        smooth = [i for i, output in enumerate(as_list(outputs)) if is_differentiable(output)]
        arrived = [as_list(cotangents)[i] for i in smooth]
        # The one line that orders it: no recomputation before the gradient of the block's output is there.
        inputs = mx.depends(as_list(primals), arrived)

        def again(*arrays: mx.array) -> list[mx.array]:
            outputs = forward(*arrays)
            return [outputs[i] for i in smooth]

        return list(mx.vjp(again, inputs, arrived)[1])

    return function  # type: ignore[return-value]  # MLX's stub has no __call__
