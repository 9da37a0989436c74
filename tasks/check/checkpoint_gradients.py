"""Checks that gradient checkpointing changes no gradient of the user's own model and adapter, only memory."""

import math
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from tasks.attention import segment_attention
from tasks.batch import make_batch
from tasks.check.subject import Finding, Subject
from tasks.grad import checkpoint_blocks, value_and_grad
from tasks.loss import LossSum, MaskedCrossEntropy
from tasks.model.family import blocks
from tasks.step.forward import Forward

TOKENS = 64


def check(subject: Subject) -> Finding:
    """Compares every adapter gradient of one row's loss, relative to the largest entry of each."""
    model, masters = subject.model, subject.model.trainable_parameters()
    row = np.array(subject.tokens[:TOKENS])
    forward = Forward(model, MaskedCrossEntropy())
    arrays = forward.arrays(make_batch([[(row, np.ones(len(row), np.float32))]], [0]))

    def total(parameters: Any) -> LossSum:
        model.update(parameters)
        return forward(arrays)

    def gradients() -> dict[str, mx.array]:
        try:
            with segment_attention(model):
                return dict(tree_flatten(value_and_grad(total)(masters)[1]))
        finally:
            model.update(masters)

    plain = gradients()
    with checkpoint_blocks(blocks(model)[1]):
        checkpointed = gradients()
    gaps = {name: _relative(plain[name], checkpointed[name]) for name in plain}
    worst = max(gaps, key=lambda name: gaps[name])
    allowed = max(1e-5, 4 * subject.eps)
    where = f" at {worst}" if gaps[worst] > 0 else ""
    detail = f"relative gap {gaps[worst]:.2g}{where} over {len(gaps)} gradients, {allowed:.2g} allowed"
    return Finding(gaps[worst] <= allowed, detail)


def _relative(a: mx.array, b: mx.array) -> float:
    largest = float(mx.maximum(mx.abs(a).max(), mx.abs(b).max()))
    gap = float(mx.abs(a - b).max())
    relative = gap / largest if largest else gap
    return relative if math.isfinite(relative) else math.inf
