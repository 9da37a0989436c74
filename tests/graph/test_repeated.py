"""A function that is traced once for all of its calls gives the graph that tracing each call gives."""

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tasks.attention.blockwise import blockwise_attention
from tasks.batch import Packed
from tasks.budget.anatomy import Anatomy
from tasks.budget.heaviest import heaviest
from tasks.budget.training import step_graph
from tasks.graph import custom_functions
from tasks.graph.graph import Graph
from tasks.graph.order import ordered
from tasks.graph.queue import QUEUES
from tasks.graph.repeated import identity
from tasks.graph.replay import replay
from tasks.graph.trace import trace
from tasks.lora import LoRA
from tasks.lora.attach import attach
from tasks.memory import Memory
from tasks.settings import Train
from tests.bench.rows import BenchRows
from tests.tiny import tiny_model
from tests.training import recipe


def _in_order(graph: Graph) -> list[Any]:
    """What is evaluated, by name and by the arrays read and made."""
    return [
        (op.name, [graph.arrays[at] for at in op.inputs], [graph.arrays[at] for at in op.outputs])
        for op in ordered(graph)
    ]


@pytest.mark.parametrize(
    ("family", "memory", "accumulate"),
    [
        ("qwen3", Memory(), 2),
        ("gemma3_text", Memory(checkpoint="all"), 1),
        ("gemma2", Memory(checkpoint="attention"), 1),
        ("qwen3_moe", Memory(checkpoint="mlp"), 1),
    ],
)
def test_a_step_is_the_same_to_the_operation_and_to_the_byte(
    family: str, memory: Memory, accumulate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(family)
    attach(model, LoRA(rank=4, alpha=8.0))
    how = recipe(layout=Packed(tokens=2048), memory=memory, train=Train(accumulate=accumulate))
    batch = heaviest(BenchRows(np.array([1301, 701] * 2), 320), how.layout, seed=0, batches=2)[0]
    once = step_graph(Anatomy(model), how, [batch] * accumulate)
    monkeypatch.setattr(custom_functions, "identity", lambda *_: None)
    each = step_graph(Anatomy(model), how, [batch] * accumulate)
    assert len(once.ops) > 1000
    assert _in_order(once) == _in_order(each)
    for queue in QUEUES.values():
        assert replay(once, queue).nbytes == replay(each, queue).nbytes


def test_calls_of_one_shape_are_exported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    exported, export = list[int](), mx.export_function

    def counted(callback: Any, *args: Any) -> None:
        exported.append(0)

        def count(record: Any) -> None:
            exported[-1] += record["type"] == "primitive"
            callback(record)

        export(count, *args)

    def gradient(layers: int) -> Any:
        def total(x: mx.array) -> mx.array:
            for _ in range(layers):
                x = blockwise_attention(x, x, x, scale=1.0)
            return x.sum()

        return lambda x: [mx.grad(total)(x)]

    monkeypatch.setattr(mx, "export_function", counted)
    x = mx.zeros((1, 2, 1024, 8))
    trace(gradient(1), x)
    one = list(exported)
    exported.clear()
    trace(gradient(6), x)
    assert len(exported) == len(one) == 3  # the whole, a forward and a backward
    assert exported[1:] == one[1:]
    assert sum(exported) < 1.5 * sum(one)


def test_what_depends_on_arrays_has_no_identity() -> None:
    def over(value: Any) -> Any:
        return lambda x: x + value

    assert identity(over(1.0), over("a")) == identity(over(1.0), over("a"))
    assert identity(over(1)) != identity(over(1.0))
    assert identity(over([1, (2, None)])) == identity(over([1, (2, None)]))
    assert identity(over([mx.ones(1)])) is None
    assert identity(over(np.ones(1))) is None
