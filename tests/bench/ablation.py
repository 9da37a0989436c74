"""What each choice of the engine is worth: python -m tests.bench.ablation --model 0.6b --variants base chunk-512

A variant is a list of changes to the base, joined by +: `rows-1024` (row length, same tokens a step), `size-2` (rows a
step), `chunk-512`, `eager`, `recompute` (all; or `recompute-mlp`, `-attention`, `-2`), `mask`, `blockwise`, `leaky`
(causal across examples: a bound, not a way to train), `stock` (quantized layers' own products) and
`dequantized` (a quantized base held dense). The last line is JSON.
"""

import argparse
from contextlib import ExitStack
from typing import Any

from tasks.attention import packed_cache
from tasks.batch import Packed
from tasks.model.dense import dense_base
from tasks.model.unpacked import UNPACKED
from tests.bench.interleave import interleave
from tests.bench.ours import Ours
from tests.bench.report import show
from tests.bench.rows import BenchRows, chat_rows
from tests.bench.shapes import SHAPES, adapted, frozen_model, matmul_rate, twin, useful_flops


def variant(model: Any, rows: BenchRows, name: str, tokens: int, size: int, steps: int) -> Ours:
    """The side of a variant; `model` has its adapters."""
    options: dict[str, Any] = {}
    way = None
    budget, row = tokens * size, tokens
    for change in name.split("+"):
        word, _, number = change.partition("-")
        if word == "rows":
            row = int(number)
        elif word == "size":
            budget = tokens * int(number)
        elif word == "chunk":
            options["chunk"] = int(number)
        elif word == "eager":
            options["compile"] = False
        elif word == "recompute":
            options["checkpoint"] = int(number) if number.isdigit() else number or "all"
        elif word in ("mask", "blockwise", "leaky"):
            way = word
        else:
            assert word in ("base", "stock", "dequantized"), change
    one = Ours(model, rows, Packed(tokens=row, size=max(1, budget // row)), steps=steps, **options)
    if name.find("eager") >= 0:
        one.forward._split = False
    if way == "leaky":
        one.forward._cache = lambda inputs, segments, boundaries: None  # type: ignore[method-assign]
    elif way:
        dtype = one.forward.dtype

        def cache(_inputs: Any, segments: Any, _boundaries: Any) -> Any:
            return None if segments is None else packed_cache(model, segments, dtype, way=way)  # type: ignore[arg-type]

        one.forward._cache = cache  # type: ignore[method-assign]
    return one


def main() -> None:
    """Runs the ablation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="0.6b", help="a name of SHAPES")
    parser.add_argument("--bits", type=int, default=None)
    parser.add_argument("--rows", type=int, default=130)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--size", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", default=["base"])
    parser.add_argument("--product", type=int, default=8192)
    given = parser.parse_args()
    assert given.model in SHAPES

    rate = matmul_rate(given.product)
    base = frozen_model(given.model, bits=given.bits)
    models = {kind: adapted(twin(base, given.model, given.bits)) for kind in ("", "stock", "dequantized")}
    for _, layer in models["stock"].named_modules():
        if type(layer) in UNPACKED:  # a subclass is left as it is
            object.__setattr__(layer, "__class__", type("Stock", (type(layer),), {}))
    stack = ExitStack()  # never left
    if any("dequantized" in name for name in given.variants):
        stack.enter_context(dense_base(models["dequantized"], "dequantized"))
    rows = chat_rows(given.rows, SHAPES[given.model].vocab_size)
    sides, losses = {}, {}
    for name in given.variants:
        try:
            one = variant(
                models[next((kind for kind in models if kind and kind in name), "")],
                rows,
                name,
                given.tokens,
                given.size,
                given.steps,
            )
            losses[name] = one.loss(rows.first(8))[0]
            print(name, losses[name], *one.round(), flush=True)
            sides[name] = one
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {str(error)[:400]}", flush=True)
    found = interleave(sides, given.rounds, warm=0)
    for name, one in sides.items():
        work = sum(useful_flops(given.model, batch) for batch in one.batches())
        found[name]["share"] = round(work / found[name]["seconds_a_round"] / rate, 4)
        found[name]["loss"] = round(losses[name], 4)
        found[name]["steps"] = len(list(one.batches()))
    show("ablation", found, arguments=vars(given), matmul_tflops=round(rate / 1e12, 2))


if __name__ == "__main__":
    main()
