"""This project's step against PyTorch + PEFT on a GPU: python -m tests.bench.step_vs_torch --model 0.6b --size 4

Same weights (a transformers Qwen3), rows, rank and optimizer, in interleaved rounds of one process. PyTorch trains on
padded random batches of 8 as transformers does, and, as its best case, on our own packed rows with attention inside
segments and the head at supervised positions, eager and compiled. The last line is JSON.
"""

import argparse
from typing import Any

from tasks.batch import Packed, Padded
from tests.bench.interleave import interleave
from tests.bench.ours import Ours
from tests.bench.report import show
from tests.bench.rows import add_rows, rows_of
from tests.bench.shapes import adapted, frozen_model


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="0.6b", help="0.6b, 8b or tiny: random weights")
    add_rows(parser, 130)
    parser.add_argument("--tokens", type=int, default=2048, help="positions of a packed row")
    parser.add_argument("--size", type=int, default=4, help="packed rows a step")
    parser.add_argument("--ours", type=int, nargs="*", default=[2048], help="our rows' positions, as many a step")
    parser.add_argument(
        "--sides", nargs="+", default=["padded", "mask", "flex", "varlen"], help="or compiled-WAY alone"
    )
    parser.add_argument("--masters", action="store_true", help="float32 adapters under autocast, PEFT's default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", type=int, default=16)
    given = parser.parse_args()

    from tests.bench.torch_side import TorchSide, peft_model

    base = frozen_model(given.model)
    rows = rows_of(given, base.args.vocab_size)  # type: ignore[union-attr]
    peft = peft_model(given.model, base, masters=given.masters)
    model = adapted(base)
    budget = given.tokens * given.size
    wanted: dict[str, Any] = {
        f"ours {budget // n} x {n}": lambda n=n: Ours(model, rows, Packed(tokens=n, size=budget // n))
        for n in given.ours
    }
    packed = Packed(tokens=given.tokens, size=given.size)
    for name in given.sides:
        if name == "padded":
            wanted["torch padded 8"] = lambda: TorchSide(peft, rows, Padded(size=8), "stock")
        else:
            way: Any = name.removeprefix("compiled-")
            wanted[f"torch packed {name}"] = lambda name=name, way=way: TorchSide(
                peft, rows, packed, way, compile=name != way
            )
    sides: dict[str, Any] = {}
    losses: dict[str, tuple[float, int]] = {}
    for name, make in wanted.items():  # a way that this PyTorch lacks ends its own line only
        try:
            one = make()
            losses[name] = one.loss(rows.first(given.check))  # of all before any is trained: torch's share adapters
            sides[name] = one
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {str(error)[:600]}", flush=True)
    for name, one in list(sides.items()):
        try:
            one.reset()
            print(name, *losses[name], *one.round(), flush=True)
            one.leave()
        except Exception as error:
            del sides[name]
            print(f"{name}: {type(error).__name__}: {str(error)[:600]}", flush=True)
    found = interleave(sides, given.rounds, warm=1)
    for name, figures in found.items():
        figures.update(loss=round(losses[name][0], 4), targets=losses[name][1])
    mine = max(f["tokens_per_second"] for n, f in found.items() if n.startswith("ours"))
    for name, figures in found.items():
        if not name.startswith("ours"):
            figures["ours_is_faster"] = round(mine / figures["tokens_per_second"], 2)
    show("step_vs_torch", found, arguments=vars(given))


if __name__ == "__main__":
    main()
