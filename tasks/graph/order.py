"""The order in which MLX evaluates a graph: what is alive at one time depends on it."""

from collections.abc import Iterable

from tasks.graph.graph import Graph, Op

WIDTH = 20
"""Width of a level beyond which MLX goes down first (MLX_BFS_MAX_WIDTH)."""


def ordered(graph: Graph) -> list[Op]:
    """The operations in MLX's order: by level from the outputs back, WIDTH wide at most, then reversed."""
    makers = {at: number for number, op in enumerate(graph.ops) for at in op.outputs}
    degree = [0] * len(graph.ops)
    for at in _all_inputs(graph):
        if at in makers:
            degree[makers[at]] += 1
    tape: list[tuple[int, ...]] = [tuple(graph.outputs)]
    made: list[int] = []
    down: list[tuple[tuple[int, ...], int]] = []
    i = 0
    while i < len(tape) or down:
        if i >= len(tape):
            inputs, start = down.pop()
        else:
            inputs, start = tape[i], 0
            i += 1
        for j in range(start, len(inputs)):
            number = makers.get(inputs[j])
            if number is None:
                continue
            if len(tape) - i >= WIDTH:
                down.append((inputs, j))
                break
            degree[number] -= 1
            if degree[number] == 0:
                tape.append(graph.ops[number].inputs)
                made.append(number)
    return [graph.ops[number] for number in reversed(made)]


def _all_inputs(graph: Graph) -> Iterable[int]:
    yield from graph.outputs
    for op in graph.ops:
        yield from op.inputs
