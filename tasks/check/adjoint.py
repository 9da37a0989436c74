"""Checks reverse mode against forward mode on the user's own model and adapter: <J v, u> = <v, J^T u>."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from tasks.adapter import adapter_parameters
from tasks.check.subject import Finding, Subject
from tasks.grad import adjoint_gap
from tasks.patch import replaced, uncompiled, wrapped

TOKENS = 16
"""A short row: the identity is true at any length, and forward mode keeps every layer's tangents."""


def check(subject: Subject) -> Finding:
    """J is the Jacobian of the logits of a few tokens with respect to every adapter parameter.

    In a mixture of experts it is taken at fixed experts: a difference that crosses over to others would contain a jump.
    The base computes in float32 here, whatever it is stored in, a layer's weights at a time: a directional derivative
    in bfloat16 is mostly rounding, by which a right gradient would fail and a wrong one pass.
    """
    model, names = subject.model, list(adapter_parameters(subject.model))
    primals = list(adapter_parameters(model).values())
    ids = mx.array(subject.tokens[:TOKENS])[None]

    def logits(*parameters: mx.array) -> mx.array:
        model.update(tree_unflatten(list(zip(names, parameters, strict=True))))
        if not chosen:
            return model(ids).astype(mx.float32)
        known = iter(chosen)
        with _choosing(lambda *_, **__: next(known)):
            return model(ids).astype(mx.float32)

    try:
        with in_float32():
            chosen = _chosen_experts(lambda: model(ids))
            exact = model(ids).dtype == mx.float32
            gap, way = adjoint_gap(logits, primals, mx.random.key(0))
    finally:
        model.update(tree_unflatten(list(zip(names, primals, strict=True))))
    floor = 1e-3 if way == "jvp" else 1e-2
    allowed = floor if exact else max(floor, 8 * subject.eps)  # an architecture may round by itself
    against = "forward mode" if way == "jvp" else "differences"
    return Finding(gap <= allowed, f"relative gap {gap:.2g} against {against}, {allowed:.2g} allowed")


@contextmanager
def in_float32() -> Iterator[None]:
    """Lets embeddings give float32: what follows takes that type, since MLX promotes the weights it is met by."""
    with wrapped(nn.Embedding, "__call__", _cast), wrapped(nn.QuantizedEmbedding, "__call__", _cast):
        yield


def _cast(call: Callable[..., mx.array]) -> Callable[..., mx.array]:
    return lambda self, x: call(self, x).astype(mx.float32)


@contextmanager
def _choosing(choose: Callable[..., mx.array]) -> Iterator[None]:
    """Lets `choose` take the place of `mx.argpartition`, by which mlx-lm's routers choose experts."""
    with uncompiled(), replaced(mx, "argpartition", choose):  # compiled, a router would keep what it was traced with
        yield


def _chosen_experts(run: Callable[[], mx.array]) -> list[mx.array]:
    """The choice of experts of each router, in the order they run; empty for a dense model."""
    choose, chosen = mx.argpartition, []

    def record(*args: Any, **kwargs: Any) -> mx.array:
        chosen.append(choose(*args, **kwargs))
        return chosen[-1]

    with _choosing(record):
        mx.eval(run(), chosen)
    return chosen
