"""What stands for MLX's operations while a graph is traced."""

from typing import Any

import mlx.core as mx
import pytest

from tasks.graph.queue import NONE
from tasks.graph.replay import replay
from tasks.graph.stand_ins import stand_ins
from tasks.graph.trace import trace


def test_mlx_is_left_as_it_was() -> None:
    before = mx.custom_function, mx.vjp, mx.argsort, mx.gather_mm
    with stand_ins(lambda *_: None):
        assert mx.custom_function is not before[0]
    assert (mx.custom_function, mx.vjp, mx.argsort, mx.gather_mm) == before


def test_a_custom_function_is_called_with_its_backward() -> None:
    seen = []
    with stand_ins(lambda forward, backward, args: seen.append((forward, backward, args))):
        function: Any = mx.custom_function(mx.sin)
        assert function(mx.array(0.0)).item() == 0  # without a backward it is the function itself
        function.vjp(mx.cos)
        function(mx.array(1.0))
    (forward, backward, args) = seen[0]
    assert (forward, backward, args[0].item()) == (mx.sin, mx.cos, 1.0)


@pytest.mark.parametrize("width", [32, 16])
def test_on_a_gpu_attention_s_gradients_are_made_at_once(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(mx, "default_device", lambda: mx.gpu)
    q, k, v = mx.zeros((1, 4, 64, 32)), mx.zeros((1, 2, 64, 32)), mx.zeros((1, 2, 64, width))

    def grads(q: mx.array, k: mx.array, v: mx.array) -> list[mx.array]:
        def total(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
            return mx.fast.scaled_dot_product_attention(q * 2, k * 2, v * 2, scale=1.0).sum()

        return list(mx.grad(total, argnums=(0, 1, 2))(q, k, v))

    graph = trace(grads, q, k, v, compiled=True)
    assert [graph.arrays[at].shape for at in graph.outputs] == [q.shape, k.shape, v.shape]
    read, made = q.nbytes + k.nbytes + v.nbytes, q.nbytes + k.nbytes + (v.nbytes if width == 32 else 0)
    assert replay(graph, NONE).nbytes >= read + made
