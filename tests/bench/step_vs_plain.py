"""The engine against this project's own plain step: python -m tests.bench.step_vs_plain --model starter

Plain: one example a row, random batches padded to the longest, all logits, eager. Fast: packed rows, attention inside
each example, the head at supervised positions, compiled on a GPU. Same weights, rows, adapters and optimizer; the loss
of both on the same rows is printed, and the relative gap between them. The last line is JSON.
"""

import argparse

from tasks.batch import Packed, Padded
from tests.bench.interleave import interleave
from tests.bench.ours import Ours
from tests.bench.report import show
from tests.bench.rows import add_rows, rows_of
from tests.bench.shapes import adapted, frozen_model


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter", help="0.6b, 8b or tiny (random weights), starter, or a folder")
    parser.add_argument("--bits", type=int, default=None)
    add_rows(parser, 64)
    parser.add_argument("--batch", type=int, default=8, help="rows of a padded batch")
    parser.add_argument("--tokens", type=int, default=2048, help="positions of a packed row")
    parser.add_argument("--size", type=int, default=1, help="packed rows a step")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()

    model = adapted(frozen_model(given.model, bits=given.bits))
    rows = rows_of(given, model.args.vocab_size)  # type: ignore[union-attr]
    sides = {
        f"plain: padded {given.batch}, all logits, eager": Ours(
            model, rows, Padded(size=given.batch), chunk=None, compile=False
        ),
        f"fast: packed {given.size} x {given.tokens}": Ours(model, rows, Packed(tokens=given.tokens, size=given.size)),
    }
    losses = {name: one.loss(rows) for name, one in sides.items()}
    found = interleave(sides, given.rounds)
    for name, (loss, targets) in losses.items():
        found[name].update(loss=round(loss, 6), targets=targets)
    plain, fast = found.values()
    fast["speed_ratio"] = round(fast["tokens_per_second"] / plain["tokens_per_second"], 2)
    fast["peak_ratio"] = round(fast["peak_gb"] / plain["peak_gb"], 3)
    fast["loss_gap"] = abs(fast["loss"] - plain["loss"]) / plain["loss"]
    show("step_vs_plain", found, arguments=vars(given))


if __name__ == "__main__":
    main()
