"""Time and peak memory against the length of a row and the size of the data: python -m tests.bench.rows_and_size

A length is trained as one row of that many tokens a step, one example, half of it supervised. A size is an epoch of so
many chat rows, packed. The last line is JSON.
"""

import argparse

from tasks.batch import Packed
from tasks.memory import Memory, limits
from tests.bench.interleave import interleave
from tests.bench.ours import Ours, resident
from tests.bench.report import show
from tests.bench.rows import chat_rows, even_rows
from tests.bench.shapes import adapted, frozen_model


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter", help="0.6b, 8b or tiny (random weights), starter, or a folder")
    parser.add_argument("--bits", type=int, default=None)
    parser.add_argument("--lengths", type=int, nargs="*", default=[512, 2048, 4096, 8192, 16384])
    parser.add_argument("--sizes", type=int, nargs="*", default=[32, 128])
    parser.add_argument("--recompute", action="store_true", help="gradient checkpointing of every block")
    parser.add_argument("--limit-gb", type=float, default=None, help="where MLX starts to hold allocations back")
    parser.add_argument("--chunk", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=2, help="rows a round")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()

    model = adapted(frozen_model(given.model, bits=given.bits))
    vocabulary, sides = model.args.vocab_size, {}  # type: ignore[union-attr]
    for length in given.lengths:
        rows = even_rows(given.steps, length, vocabulary)
        sides[f"one row of {length}"] = Ours(
            model, rows, Packed(tokens=length), checkpoint="all" if given.recompute else "none", chunk=given.chunk
        )
    for size in given.sizes:
        rows = chat_rows(size, vocabulary)
        sides[f"{size} chat rows, packed 2048"] = Ours(
            model, rows, Packed(tokens=2048), checkpoint="all" if given.recompute else "none", chunk=given.chunk
        )
    found = {}
    for name, one in sides.items():  # one by one: what is too large ends nothing but its own line
        try:
            with limits(Memory(limit_gb=given.limit_gb)):
                found.update(interleave({name: one}, given.rounds))
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
    for figures in found.values():
        figures["resident_gb"] = round(resident() / 1e9, 4)
    show("rows_and_size", found, arguments=vars(given))


if __name__ == "__main__":
    main()
