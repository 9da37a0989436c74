"""Predicts the peak memory of the end of training and of the checks of `verify`, before either runs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

from tasks.adapter import adapter_parameters
from tasks.adapter.checksums import PIECE
from tasks.adapter.probe import lazy_probe
from tasks.attention import segment_attention
from tasks.budget.anatomy import Anatomy
from tasks.budget.parts import COPIES
from tasks.budget.peak import peak_bytes
from tasks.check import adjoint, checkpoint_gradients
from tasks.grad import value_and_grad
from tasks.loss import LossSum, MaskedCrossEntropy
from tasks.settings import Check

SUMMED = 8 * 4
"""Bytes for each entry that a checksum sums at a time: as an integer, its place, and their product twice."""


def verifying(anatomy: Anatomy, checks: Sequence[Check], tokens: int) -> int:
    """Predicts the most bytes that the end of training and the checks need, weights and optimizer state included.

    The logits of a row are recorded once training has ended, and again by two of the checks; every base parameter is
    summed; two checks differentiate a short row.

    Args:
        anatomy: of the base with the adapter attached.
        checks: by name.
        tokens: of the row whose logits are recorded.

    Raises:
        ValueError: an operation of the model that MLX does not export.
    """
    model = anatomy.model
    parameters: Any = tree_flatten(model.parameters())
    weights = sum({id(array): array.nbytes for _, array in parameters}.values())
    masters = sum(array.nbytes for array in adapter_parameters(model).values())
    summed = SUMMED * min(PIECE, max(array.size for _, array in parameters))
    computations = list(_computations(anatomy, checks, tokens))
    return max(weights + summed, *(peak_bytes(model, compute) for compute in computations)) + COPIES * masters


def _computations(
    anatomy: Anatomy, checks: Sequence[Check], tokens: int
) -> Iterator[Callable[[Any], Sequence[mx.array]]]:
    model = anatomy.model
    yield lambda _: list(lazy_probe(model, mx.zeros((tokens,), mx.int32)).arrays().values())
    if "adjoint" in checks:
        ids = mx.zeros((1, min(tokens, adjoint.TOKENS)), mx.int32)
        yield lambda _: _derivative(anatomy, ids, forward=True)
        yield lambda _: _derivative(anatomy, ids, forward=False)
    if "checkpoint_gradients" in checks:
        yield lambda _: _gradients(anatomy, min(tokens, checkpoint_gradients.TOKENS))


def _derivative(anatomy: Anatomy, ids: mx.array, *, forward: bool) -> list[mx.array]:
    """What the adjoint check computes, by forward mode or by reverse mode."""
    model = anatomy.model
    names, primals = zip(*adapter_parameters(model).items(), strict=True)

    def logits(*parameters: mx.array) -> mx.array:
        model.update(tree_unflatten(list(zip(names, parameters, strict=True))))
        return model(ids).astype(mx.float32)

    with adjoint.in_float32():
        if forward:
            return mx.jvp(logits, list(primals), list(primals))[1]
        return mx.vjp(logits, list(primals), [mx.ones((*ids.shape, anatomy.vocabulary))])[1]


def _gradients(anatomy: Anatomy, tokens: int) -> list[mx.array]:
    """What the check of recomputed gradients computes without recomputing."""
    model = anatomy.model
    forward, masters = anatomy.forward(MaskedCrossEntropy(), chunk=None), model.trainable_parameters()
    ids = mx.zeros((1, tokens), mx.int32)

    def total(parameters: Any) -> LossSum:
        model.update(parameters)
        return forward({"inputs": ids, "targets": ids, "weights": mx.ones((1, tokens))})

    with segment_attention(model):
        gradients: Any = tree_flatten(value_and_grad(total)(masters)[1])
    return [array for _, array in gradients]
