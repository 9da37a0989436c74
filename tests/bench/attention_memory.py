"""Peak memory of one step against a row's length, by kind of attention: python -m tests.bench.attention_memory

Tiny random models, one example a row, an eighth of it supervised, LoRA on every projection. `theirs` leaves attention
to the model, `ours` is what a run does; both losses are printed.
"""

import argparse
from typing import Any

import mlx.core as mx
import numpy as np

from tasks.batch import make_batch
from tasks.loss import MaskedCrossEntropy
from tasks.model.head import find_head
from tasks.optim import AdamW
from tasks.step.forward import Forward
from tasks.step.update import Update
from tests.attention.families import OTHERS, tiny
from tests.step.test_law import FAMILIES
from tests.tiny import attach_random

KINDS: dict[str, dict[str, Any]] = {
    "qwen3": {},
    "deepseek_v3": FAMILIES["deepseek_v3"],
    "llama4": {"text_config": {**OTHERS["llama4"]["text_config"], "attention_chunk_size": 256}},
    "deepseek_v32": {**FAMILIES["deepseek_v3"], "index_topk": 256},
}


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="*", default=[512, 2048, 4096])
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    given = parser.parse_args()
    print("| kind, side | " + " | ".join(f"{length:,}: MiB (loss)" for length in given.lengths) + " |")
    for kind in given.kinds:
        model = tiny(kind, **KINDS[kind])
        model.freeze()
        attach_random(model)
        for side, alone in (("theirs", False), ("ours", None)):
            cells = [
                f"{peak / 2**20:,.0f} ({loss:.6f})" for peak, loss in (step(model, n, alone) for n in given.lengths)
            ]
            print(f"| {kind}, {side} | {' | '.join(cells)} |", flush=True)


def step(model: Any, length: int, alone: bool | None) -> tuple[int, float]:
    """(peak bytes, loss) of one step on a row of so many positions."""
    forward, masters = Forward(model, MaskedCrossEntropy(), find_head(model), alone=alone), model.trainable_parameters()
    update, at = Update(forward, AdamW()), np.arange(length + 1)
    window = [forward.arrays(make_batch([[(at % 300, (at % 8 == 0).astype(np.float32))]], [0]))]
    state = update.start(masters)
    mx.eval(state, masters)
    mx.synchronize()
    mx.reset_peak_memory()
    done = update(masters, state, window, mx.random.key(0), 1e-3)
    mx.eval(done)
    peak = mx.get_peak_memory()
    model.update(masters)
    return peak, float(np.array(done.loss.mean))


if __name__ == "__main__":
    main()
