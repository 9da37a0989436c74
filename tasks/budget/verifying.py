"""Predicted memory of what a run does beside its training steps, the verification above all."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from tasks.adapter import adapter_parameters
from tasks.adapter.checksums import PIECE
from tasks.adapter.probe import lazy_probe
from tasks.attention import segment_attention
from tasks.budget.demand import Demand
from tasks.budget.later_stages import Stages, estimated, scoring_stages, validation_stage
from tasks.budget.parts import COPIES
from tasks.budget.peak import peak_bytes
from tasks.budget.recurrent import loop_of
from tasks.budget.training import builds_alone
from tasks.check import adjoint, checkpoint_gradients
from tasks.data import TokenCache
from tasks.grad import value_and_grad
from tasks.loss import LossSum, MaskedCrossEntropy
from tasks.model.family import model_type
from tasks.model.head import vocabulary
from tasks.score.held_out import HeldOut
from tasks.settings import Check, Evaluate, Verify
from tasks.step import Recipe
from tasks.step.forward import Forward

log = logging.getLogger(__name__)
SUMMED = 8 * 4
"""Bytes for each entry that a checksum sums at a time: as an integer, its place, and their product twice."""


def stages_of(
    demand: Demand, recipe: Recipe, cache: TokenCache, held_out: HeldOut, evaluate: Evaluate, verify: Verify
) -> Stages:
    """Predicts what each stage of a run takes beside the training step; nothing for a loop that is too long to trace.

    Args:
        demand: of the training.
        recipe: of the training, as it will be.
        cache: whose validation rows are validated on.
        held_out: what is scored afterwards.
        evaluate: how.
        verify: the checks.
    """
    valid = cache.split("valid") if "valid" in cache.splits else None
    longest = max(split.longest for split in cache.splits.values())
    if (loop := loop_of(demand.model)) is not None and loop.is_long(max(longest, verify.probe_tokens)):
        log.warning(
            "the %s model goes position by position: only the memory of training is checked", model_type(demand.model)
        )
        return {}
    return {
        **validation_stage(demand, recipe, valid),
        **scoring_stages(demand.model, held_out, evaluate, recipe.memory),
        **estimated("verification", lambda: verifying(demand.model, verify.checks, verify.probe_tokens)),
    }


def verifying(model: nn.Module, checks: Sequence[Check], tokens: int) -> int:
    """Predicts the most bytes that the end of training and the checks take, weights and the optimizer's state included.

    The logits of a row are recorded once training has ended, and again by two of the checks; every base parameter is
    summed; two checks differentiate a short row.

    Args:
        model: the base with the adapter attached, its arrays lazy.
        checks: by name.
        tokens: of the row whose logits are recorded.

    Raises:
        ValueError: the model has an operation that MLX cannot export.
    """
    parameters: Any = tree_flatten(model.parameters())
    weights = sum({id(array): array.nbytes for _, array in parameters}.values())
    masters = sum(array.nbytes for array in adapter_parameters(model).values())
    summed = SUMMED * min(PIECE, max(array.size for _, array in parameters))
    peaks = [weights + summed, *(peak_bytes(model, compute) for compute in _computations(model, checks, tokens))]
    return max(peaks) + COPIES * masters


def _computations(
    model: nn.Module, checks: Sequence[Check], tokens: int
) -> Iterator[Callable[[Any], Sequence[mx.array]]]:
    yield lambda _: list(lazy_probe(model, mx.zeros((tokens,), mx.int32)).arrays().values())
    if "adjoint" in checks:
        ids = mx.zeros((1, min(tokens, adjoint.TOKENS)), mx.int32)
        yield lambda _: _derivative(model, ids, forward=True)
        yield lambda _: _derivative(model, ids, forward=False)
    if "checkpoint_gradients" in checks:
        yield lambda _: _gradients(model, min(tokens, checkpoint_gradients.TOKENS))


def _derivative(model: Any, ids: mx.array, *, forward: bool) -> list[mx.array]:
    """What the adjoint check computes, by forward mode or by reverse mode."""
    names, primals = zip(*adapter_parameters(model).items(), strict=True)

    def logits(*parameters: mx.array) -> mx.array:
        model.update(tree_unflatten(list(zip(names, parameters, strict=True))))
        return model(ids).astype(mx.float32)

    with adjoint.in_float32():
        if forward:
            return mx.jvp(logits, list(primals), list(primals))[1]
        return mx.vjp(logits, list(primals), [mx.ones((*ids.shape, vocabulary(model)))])[1]


def _gradients(model: Any, tokens: int) -> list[mx.array]:
    """What the check of recomputed gradients computes without recomputing."""
    forward, masters = Forward(model, MaskedCrossEntropy(), alone=builds_alone(model)), model.trainable_parameters()
    ids = mx.zeros((1, tokens), mx.int32)

    def total(parameters: Any) -> LossSum:
        model.update(parameters)
        return forward({"inputs": ids, "targets": ids, "weights": mx.ones((1, tokens))})

    with segment_attention(model):
        gradients: Any = tree_flatten(value_and_grad(total)(masters)[1])
    return [array for _, array in gradients]
