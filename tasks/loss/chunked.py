"""The loss of hidden states through a frozen head, never more than one chunk of logits alive.

Logits are the largest array of a step: N positions times a vocabulary of 150,000. They are not needed: the gradient
of a loss with respect to the hidden states [N, D] is small, and a frozen head wants no gradient of its own. So each
chunk of positions goes through the head once, gives its part of the loss and of that gradient, and is forgotten; the
backward pass only scales what was stored. It is the order of work of Liger's fused linear cross entropy
(arXiv:2410.10989), here for any loss whose rows do not depend on each other, and any head.
"""

# Shapes: B rows, T positions, D hidden size, V vocabulary; N positions that count, n of them in a chunk.
#
# What makes it exact: loss = sum over chunks, and each chunk's gradient dh [n, D] is the whole truth about its rows.
# The cotangent of the sum is one scalar, unknown until the backward pass, but it only multiplies: so dh is taken under
# a cotangent of 1 in the forward pass, stored ([N, D] instead of [N, V]), and scaled when the scalar arrives.

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from tasks.loss import Loss
from tasks.loss.sums import LossSum, weighted_sum

SEED = {mx.float16: 256.0}
"""The factor of a chunk's loss while its gradient is taken, undone in float32: a probability below 6e-8 is 0
in float16, and the loss scale of the caller comes too late for it."""


def chunked_loss(
    loss: Loss,
    head_logits: Callable[[mx.array], mx.array],
    hidden_ND: mx.array,
    targets_N: mx.array,
    weights_N: mx.array,
    *,
    chunk: int,
    backward: bool = True,
) -> LossSum:
    """`loss(head_logits(hidden_ND), targets_N, weights_N)`, in chunks of at most `chunk` rows, one after the other.

    Only the hidden states are differentiated, once: nothing flows to the head's parameters, the targets, the weights
    or the count, and there is no second derivative.

    Args:
        loss: a loss whose `per_token` looks at one row of logits at a time.
        head_logits: [n, D] -> logits [n, V], row by row; dense or quantized, its parameters frozen.
        hidden_ND: the normed hidden states of the positions that count, any floating dtype.
        targets_N: integers in [0, V), valid ones too where the weight is 0.
        weights_N: real or bool, none negative; 0 for a row that only fills up N.
        chunk: the most rows at a time. They are shared out evenly: 1,030 rows in chunks of 1,024 are 515 and 515.
        backward: False computes no gradient on the way, for validation: half the work. It can be differentiated
            all the same, at the price of keeping all logits.

    Returns:
        The sum in float32. Its gradient comes in the dtype of the hidden states, scaled in float32.

    Raises:
        ValueError: `chunk` is below 1, or the shapes do not belong together.

    Example:
        >>> from tasks.loss import CrossEntropy
        >>> h, targets, weights = mx.zeros((5, 3)), mx.array([0, 1, 2, 3, 0]), mx.array([1, 1, 1, 1, 0])
        >>> chunked_loss(CrossEntropy(), lambda h: h @ mx.ones((3, 4)), h, targets, weights, chunk=2).mean.item()
        1.3862943649291992
    """
    _check(hidden_ND, targets_N, weights_N, chunk)
    targets_N, weights_N = mx.stop_gradient(targets_N), mx.stop_gradient(weights_N).astype(mx.float32)
    rows = _rows(len(targets_N), chunk)
    if not rows:
        return LossSum(mx.zeros(()), mx.zeros(()))
    seed = SEED.get(hidden_ND.dtype, 1.0)

    def part(h_nD: mx.array, span: slice) -> mx.array:
        return weighted_sum(loss.per_token(head_logits(h_nD), targets_N[span]), weights_N[span]).total

    def value(hidden_ND: mx.array) -> mx.array:
        total = mx.zeros(())
        for span in rows:
            total = total + part(_after(hidden_ND[span], total), span)
        return total

    def value_and_dh(hidden_ND: mx.array) -> tuple[mx.array, mx.array]:
        hidden_ND = mx.stop_gradient(hidden_ND)
        total, parts = mx.zeros(()), list[mx.array]()
        for span in rows:
            h_nD = _after(hidden_ND[span], total, *parts[-1:])
            scaled, dh_nD = mx.value_and_grad(lambda h, span=span: seed * part(h, span))(h_nD)
            total = total + scaled / seed
            parts.append(dh_nD)
        return total, mx.concatenate(parts)

    once: Any = mx.custom_function(value_and_dh)

    @once.vjp
    def scale_dh(_primal: mx.array, cotangents: list[mx.array], outputs: list[mx.array]) -> mx.array:
        dh_ND = outputs[1]
        return (dh_ND.astype(mx.float32) * (cotangents[0] / seed)).astype(dh_ND.dtype)

    # The second output, dh, is what the backward pass reads. Nobody else does, so it is dropped here.
    total = once(hidden_ND)[0] if backward else value(hidden_ND)
    return LossSum(total, weights_N.sum())


def gather_supervised(hidden_BTD: mx.array, index_N: mx.array) -> mx.array:
    """The hidden states at flat positions b * T + t: [B, T, D] and integers [N] -> [N, D].

    Its gradient adds each row back to where it came from; a position may be named twice, and fill up N under weight 0.
    MLX checks no bounds.

    Example:
        >>> gather_supervised(mx.arange(6).reshape(1, 3, 2), mx.array([2, 0])).tolist()
        [[4, 5], [0, 1]]
    """
    return hidden_BTD.reshape(-1, hidden_BTD.shape[-1])[mx.stop_gradient(index_N)]


def _rows(n: int, chunk: int) -> list[slice]:
    """0..n cut into the fewest slices of at most `chunk`, alike but for the last."""
    count = -(-n // chunk)
    size = -(-n // count) if n else 1
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _after(x: mx.array, *earlier: mx.array) -> mx.array:
    """Returns x, to be read only once the earlier arrays are computed; else MLX may run the chunks side by side."""
    return mx.depends([x], list(earlier))[0]


def _check(hidden_ND: mx.array, targets_N: mx.array, weights_N: mx.array, chunk: int) -> None:
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; give at least 1 position")
    if hidden_ND.ndim != 2 or targets_N.shape != hidden_ND.shape[:1] or weights_N.shape != targets_N.shape:
        raise ValueError(
            f"hidden states are {hidden_ND.shape}, targets {targets_N.shape}, weights {weights_N.shape}: "
            "want [N, D], [N] and [N]"
        )
