"""The share of the device's measured bf16 matmul rate that useful work takes: python -m tests.bench.rate --model 0.6b

Useful work is what the step cannot do without (see `useful_flops`): padding, masked scores, logits of prompts and
recomputation are not in it, and LoRA's own products, under 1 %, neither. The last line is JSON.
"""

import argparse
import statistics

from tasks.batch import Packed
from tests.bench.interleave import interleave
from tests.bench.ours import Ours
from tests.bench.report import show
from tests.bench.rows import chat_rows
from tests.bench.shapes import adapted, frozen_model, matmul_rate, useful_flops


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="0.6b", help="0.6b, 8b or tiny: random weights")
    parser.add_argument("--bits", type=int, default=None)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=2048, help="positions of a packed row")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4], help="packed rows a step")
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--chunk", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--product", type=int, default=8192, help="size of the measured product")
    given = parser.parse_args()

    rates = [matmul_rate(given.product)]
    model = adapted(frozen_model(given.model, bits=given.bits))
    rows = chat_rows(given.rows, model.args.vocab_size)  # type: ignore[union-attr]
    sides = {
        f"{size} x {given.tokens}": Ours(
            model,
            rows,
            Packed(tokens=given.tokens, size=size),
            chunk=given.chunk,
            checkpoint="all" if given.recompute else "none",
            steps=given.steps,
        )
        for size in given.sizes
    }
    losses = {name: one.loss(rows.first(16)) for name, one in sides.items()}
    found = interleave(sides, given.rounds)
    rates.append(matmul_rate(given.product))
    rate = statistics.mean(rates)
    for name, one in sides.items():
        work = sum(useful_flops(given.model, batch) for batch in one.batches())
        found[name]["tflops"] = round(work / found[name]["seconds_a_round"] / 1e12, 2)
        found[name]["share"] = round(work / found[name]["seconds_a_round"] / rate, 4)
        found[name]["loss"] = round(losses[name][0], 4)
    show("rate", found, arguments=vars(given), matmul_tflops=[round(r / 1e12, 2) for r in rates])


if __name__ == "__main__":
    main()
