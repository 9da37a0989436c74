"""Reverse mode against forward mode on the user's own model and adapter: <J v, u> = <v, J^T u>."""

import mlx.core as mx
from mlx.utils import tree_unflatten

from tasks.adapter import adapter_parameters
from tasks.check.subject import Finding, Subject
from tasks.grad import adjoint_gap

TOKENS = 16
"""A short row: the identity holds at any length, and forward mode keeps every layer's tangents."""


def check(subject: Subject) -> Finding:
    """J is the Jacobian of the logits of a few tokens with respect to every adapter parameter."""
    model, names = subject.model, list(adapter_parameters(subject.model))
    primals = list(adapter_parameters(model).values())
    ids = mx.array(subject.tokens[:TOKENS])[None]

    def logits(*parameters: mx.array) -> mx.array:
        model.update(tree_unflatten(list(zip(names, parameters, strict=True))))
        return model(ids).astype(mx.float32)

    try:
        gap, way = adjoint_gap(logits, primals, mx.random.key(0))
    finally:
        model.update(tree_unflatten(list(zip(names, primals, strict=True))))
    floor = 1e-3 if way == "jvp" else 1e-2
    allowed = max(floor, 8 * subject.eps)
    against = "forward mode" if way == "jvp" else "differences"
    return Finding(gap <= allowed, f"relative gap {gap:.2g} against {against}, {allowed:.2g} allowed")
