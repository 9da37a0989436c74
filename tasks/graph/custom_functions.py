"""Marks in a graph: whole numbers that arrays are multiplied with, so that they are found again in its export."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mlx.core as mx

FIRST = 2.0**22
"""Where the marks begin: whole numbers that float32 can represent, and that no model multiplies with."""


class Call(NamedTuple):
    """A custom function's call: where its marks and its backward's results are among the extra outputs."""

    forward: list[tuple[float, int]]  # (mark of the output, position of what the real forward gives)
    cotangents: list[tuple[float, float]]  # (mark of the output, mark of the placeholder of its cotangent)
    gradients: list[tuple[float, int]]  # (mark of the input, position of its gradient)
    constants: list[int]  # positions of the inputs without a gradient
    outputs: float  # mark of where the backward reads the outputs


class Marks:
    """The numbers given out, the calls, and the arrays that must be exported beside the outputs."""

    def __init__(self, compiled: bool) -> None:
        self.next, self.calls, self.extra, self.compiled = 2.0, list[Call](), list[mx.array](), compiled
        self.partings = set[float]()

    def number(self) -> tuple[float, mx.array]:
        """Draws a number that occurs nowhere else in the graph."""
        self.next += 1
        return FIRST + self.next, mx.array(FIRST + self.next)

    def apart(self, arrays: list[mx.array]) -> tuple[float, list[mx.array]]:
        """Copies of the arrays, so that the graph can tell uses of the copies from uses of the originals."""
        number, mark = self.number()
        self.partings.add(number)
        return number, mx.depends(arrays, [mark])

    def export(self, array: mx.array) -> int:
        """Adds an array to the extra outputs; its position among them."""
        self.extra.append(array)
        return len(self.extra) - 1

    def call(self, fn: Callable[..., Any], vjp: Callable[..., Any], args: tuple[mx.array, ...]) -> Any:
        """Calls a custom function, forward and backward side by side; gives its outputs, marked."""
        still = [mx.stop_gradient(x) for x in args]
        given = fn(*still)
        outputs = [given] if isinstance(given, mx.array) else list(given)
        real = [mx.stop_gradient(y) for y in outputs]
        smooth = [x for x in args if mx.issubdtype(x.dtype, mx.floating)]
        sums, gradient_marks = mx.zeros(()), list[float | None]()
        for x in args:
            if not mx.issubdtype(x.dtype, mx.floating):
                gradient_marks.append(None)
                continue
            number, mark = self.number()
            gradient_marks.append(number)
            sums = sums + (x * mark.astype(x.dtype)).astype(mx.float32).sum()
        forward, cotangents, placeholders, marked = [], [], [], []
        for y in real:
            number, mark = self.number()
            forward.append((number, self.export(y)))
            through = mx.broadcast_to(sums.astype(y.dtype), y.shape) if smooth else y
            marked.append(through * mark.astype(y.dtype))
            cotangent, other = self.number()
            cotangents.append((number, cotangent))
            placeholders.append(mx.broadcast_to(other.astype(y.dtype), y.shape))
        alone = isinstance(given, mx.array)
        apart = still if self.compiled else self.apart(still)[1]  # or the export would merge what is computed twice
        outputs_mark, after = self.apart(real)
        primals = apart[0] if len(apart) == 1 else apart
        grads = vjp(primals, placeholders[0] if alone else placeholders, after[0] if alone else after)
        grads = [grads] if isinstance(grads, mx.array) else list(grads)
        gradients = [(m, self.export(g)) for m, g in zip(gradient_marks, grads, strict=True) if m is not None]
        constants = [self.export(x) for m, x in zip(gradient_marks, still, strict=True) if m is None]
        self.calls.append(Call(forward, cotangents, gradients, constants, outputs_mark))
        return marked[0] if alone else marked
