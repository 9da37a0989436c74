"""Stand-ins, while a graph is traced, for the operations of MLX that cannot be exported."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import mlx.core as mx

from tasks.device.backend import backend
from tasks.patch import replaced

Call = Callable[[Callable[..., Any], Callable[..., Any], tuple[mx.array, ...]], Any]


@contextmanager
def stand_ins(call: Call) -> Iterator[None]:
    """Puts operations that can be exported in the place of those of `mx` that cannot, for as long as the block lasts.

    Args:
        call: does what a custom function would, given its forward, its backward and its inputs.
    """

    class Custom:
        """Stands for `mx.custom_function`."""

        def __init__(self, fn: Callable[..., Any]):
            self._fn, self._vjp = fn, None

        def vjp(self, fn: Callable[..., Any]) -> Callable[..., Any]:
            """The decorator of the same name."""
            self._vjp = fn
            return fn

        def __call__(self, *args: mx.array) -> Any:
            if self._vjp is None:
                return self._fn(*args)
            return call(self._fn, self._vjp, args)

    def argsort(a: mx.array, /, axis: int | None = -1, **_: Any) -> mx.array:
        return mx.sort(a, axis=axis).astype(mx.uint32)  # argsort cannot be exported; as many bytes

    gather = mx.gather_mm

    def gather_mm(
        a: mx.array, b: mx.array, /, lhs_indices: Any = None, rhs_indices: Any = None, **options: Any
    ) -> mx.array:
        def product(a: mx.array, b: mx.array) -> mx.array:
            return gather(a, b, lhs_indices, rhs_indices, **options)

        def back(primals: list[mx.array], cotangent: mx.array, _output: mx.array) -> list[mx.array]:
            a, b = primals
            return [
                gather(cotangent, b.swapaxes(-1, -2), lhs_indices, rhs_indices),
                a.sum() + mx.zeros(b.shape) + cotangent.sum(),
            ]

        custom = Custom(product)
        custom.vjp(back)
        return custom(a, b)

    attention = mx.fast.scaled_dot_product_attention

    def fused(q: mx.array, k: mx.array, v: mx.array, **options: Any) -> mx.array:
        """Attention, whose backward cannot be exported: all gradients at once, in arrays of their own."""
        function = Custom(lambda q, k, v: attention(q, k, v, **options))

        def back(primals: list[mx.array], cotangent: mx.array, _output: mx.array) -> list[mx.array]:
            q, k, v = primals
            heads, others = q.shape[1], k.shape[1]
            # cuDNN's room: the gradient of the queries in float32, and those of keys and values for each query head.
            room = mx.tile(q, (1, 2 if heads == others else 4, 1, 1))
            after = mx.depends([q], [cotangent, room, k, v])[0]
            if k.shape[-1] != v.shape[-1]:
                made = mx.pad(after, [(0, 0), (0, others), (0, 0), (0, 0)])
                return [*mx.split(made, [heads], axis=1), mx.sort(mx.depends([v], [after])[0])]
            made = mx.pad(after, [(0, 0), (0, 2 * others), (0, 0), (0, 0)])
            return list(mx.split(made, [heads, heads + others], axis=1))

        function.vjp(back)
        return function(q, k, v)

    def cross_entropy(logits: mx.array, targets: mx.array) -> mx.array:
        """The fused loss, which no export has: float32 [...] of logits [..., V]; its gradient takes their room."""
        function = Custom(lambda logits: logits.max(axis=-1).astype(mx.float32) + targets)

        def back(logits: mx.array, cotangent: mx.array, _output: mx.array) -> mx.array:
            return logits * cotangent[..., None].astype(logits.dtype)

        function.vjp(back)
        return function(logits)

    def gated_delta_update(q: mx.array, k: mx.array, v: mx.array, g: mx.array, beta: mx.array) -> list[mx.array]:
        """The fused rule, which cannot be exported either: its outputs, in float32."""
        read = q.sum() + k.sum() + g.sum() + beta.sum()
        return [v + read, mx.zeros((v.shape[0], v.shape[2], v.shape[3], q.shape[3])) + read]

    inner = mx.vjp

    def vjp(fn: Callable[..., Any], primals: list[mx.array], cotangents: list[mx.array]) -> Any:
        return inner(fn, [mx.depends([x], [x])[0] for x in primals], cotangents)  # stands for MLX's own copy of each

    swaps = {(mx, "custom_function"): Custom, (mx, "argsort"): argsort, (mx, "gather_mm"): gather_mm, (mx, "vjp"): vjp}
    if backend() != "cpu":
        fast = {"scaled_dot_product_attention": fused, "cross_entropy": cross_entropy}
        swaps |= {(mx.fast, name): call for name, call in {**fast, "gated_delta_update": gated_delta_update}.items()}
    with ExitStack() as stack:
        for (place, name), stand_in in swaps.items():
            stack.enter_context(replaced(place, name, stand_in))
        yield
