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
from tasks.patch import uncompiled, wrapped

TOKENS = 16
"""A short row: the identity is true at any length, and forward mode keeps every layer's tangents."""


def check(subject: Subject) -> Finding:
    """J is the Jacobian of the logits of a few tokens with respect to every adapter parameter.

    In a mixture of experts it is taken at fixed experts, and at fixed sides of every bound that a score is compared
    with: a difference that crosses over would contain a jump.
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
        with _choosing(lambda _: next(known)):
            return model(ids).astype(mx.float32)

    try:
        with in_float32():
            chosen = _choices(lambda: model(ids))
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
def _choosing(choose: Callable[[Callable[[], Any]], Any]) -> Iterator[None]:
    """Lets `choose` take the place of what mlx-lm's routers choose experts by, and of the conditions of `mx.where`.

    Args:
        choose: from a function that makes the choice to the choice.
    """

    def whole(stock: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: choose(lambda: stock(*args, **kwargs))

    def condition(stock: Callable[..., Any]) -> Callable[..., Any]:
        return lambda given, *args, **kwargs: stock(choose(lambda: given), *args, **kwargs)

    # Compiled, a router would keep what it was traced with.
    with (
        uncompiled(),
        wrapped(mx, "argpartition", whole),
        wrapped(mx, "argmax", whole),
        wrapped(mx, "where", condition),
    ):
        yield


def _choices(run: Callable[[], mx.array]) -> list[Any]:
    """The choices of each router and condition, in the order they run; empty for most dense models."""
    chosen: list[Any] = []

    def record(make: Callable[[], Any]) -> Any:
        chosen.append(make())
        return chosen[-1]

    with _choosing(record):
        mx.eval(run(), chosen)
    return chosen
