"""This project's step against mlx_lm.lora's own trainer: python -m tests.bench.step_vs_mlx_lm --model starter

Both train LoRA of rank 8 on all linears of the same weights, on the same rows, in interleaved rounds of one process:
mlx_lm makes its own batches; ours are packed. The loss of both sides on the same rows is printed before and after;
theirs counts one padding token a row as a target. `first_round_seconds` is the round in which a side meets its shapes
first and compiles for them; all other figures leave it out. The last line is JSON.
"""

import argparse

from tasks.batch import Packed
from tasks.memory import Memory, limits
from tests.bench.ours import Ours, peak, reset_peak, resident
from tests.bench.report import show, side
from tests.bench.rows import add_rows, even_rows, rows_of
from tests.bench.shapes import adapted, frozen_model, twin
from tests.bench.theirs import Theirs


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter", help="0.6b, 8b or tiny (random weights), starter, or a folder")
    parser.add_argument("--bits", type=int, default=None)
    add_rows(parser, 64)
    parser.add_argument("--even", type=int, default=None, help="rows of exactly this many tokens")
    parser.add_argument("--batch", type=int, default=8, help="mlx_lm's rows a batch")
    parser.add_argument("--tokens", type=int, default=2048, help="positions of our packed rows")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1], help="our packed rows a step, a side each")
    parser.add_argument("--checkpoint", nargs="+", default=["none"], help="memory.checkpoint of ours, a side each")
    parser.add_argument("--limit-gb", type=float, default=None, help="ours: where MLX starts to hold allocations back")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=int, default=1)
    parser.add_argument("--check", type=int, default=32, help="rows whose loss both sides print")
    given = parser.parse_args()

    base = frozen_model(given.model, bits=given.bits)
    vocabulary = base.args.vocab_size  # type: ignore[union-attr]
    rows = even_rows(given.rows, given.even, vocabulary) if given.even else rows_of(given, vocabulary)
    check = rows.first(given.check)
    theirs = Theirs(twin(base, given.model, given.bits), rows, given.batch)
    model = adapted(base)
    ours = {
        f"ours {n} x {given.tokens}{'' if kept == 'none' else f', checkpoint={kept}'}": Ours(
            model, rows, Packed(tokens=given.tokens, size=n), checkpoint=int(kept) if kept.isdigit() else kept
        )
        for n in given.sizes
        for kept in given.checkpoint
    }
    before = {"mlx_lm": theirs.loss(check), **{name: one.loss(check) for name, one in ours.items()}}
    found: dict[str, list[tuple[int, float, int]]] = {name: [] for name in ours}

    cold = {}
    for name, one in ours.items():
        with limits(Memory(limit_gb=given.limit_gb)):
            cold[name] = one.round()[1]

    def between() -> None:
        for name, one in ours.items():
            reset_peak()
            with limits(Memory(limit_gb=given.limit_gb)):
                tokens, seconds = one.round()
            found[name].append((tokens, seconds, peak()))

    held = resident()
    measured = theirs.run(given.rounds, given.warm, between)
    after = {"mlx_lm": theirs.loss(check), **{name: one.loss(check) for name, one in ours.items()}}

    def losses(name: str) -> dict[str, float | int]:
        (first, targets), (last, _) = before[name], after[name]
        return {"loss_before": round(first, 4), "loss_after": round(last, 4), "targets": targets}

    sides = {
        f"mlx_lm.lora, batches of {given.batch}": side(
            theirs.tokens, [s for s, _ in measured], max(p for _, p in measured), held, **losses("mlx_lm"),
            steps=len(theirs.batches), first_round_seconds=round(theirs.first or 0, 2),
        )
    }  # fmt: skip
    for name, rounds in found.items():
        sides[name] = side(
            rounds[0][0],
            [s for _, s, _ in rounds],
            max(p for *_, p in rounds),
            held,
            **losses(name),
            steps=len(list(ours[name].batches())),
            first_round_seconds=round(cold[name], 2),
        )
    reference, *rest = sides.values()
    for one in rest:
        one["speed_ratio"] = round(one["tokens_per_second"] / reference["tokens_per_second"], 2)
        one["peak_ratio"] = round(one["peak_gb"] / reference["peak_gb"], 3)
    show("step_vs_mlx_lm", sides, arguments=vars(given))


if __name__ == "__main__":
    main()
