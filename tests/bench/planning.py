"""What planning a training costs: python -m tests.bench.planning --blocks 4 8 28 --shapes 1 200

A random model of 64 wide blocks on packed rows, the longest of 8,500 tokens. All that a plan predicts of memory is
predicted, in CPU seconds of this process; no weight is read. The last line is JSON.
"""

import argparse
import json
import logging
import time
from typing import Any

import numpy as np

from tasks.batch import Packed
from tasks.budget.anatomy import Anatomy
from tasks.budget.answering import answering
from tasks.budget.demand import Demand
from tasks.budget.scoring import scoring
from tasks.budget.verifying import verifying
from tasks.lora import LoRA
from tasks.lora.attach import attach
from tasks.loss import MaskedCrossEntropy
from tasks.score.held_out_loss import CHUNK, SCORED
from tests.bench.report import setting
from tests.bench.rows import BenchRows
from tests.tiny import tiny_model
from tests.training import recipe

VOCABULARY = 736


def lengths_of(rows: int, longest: int, shapes: int) -> np.ndarray:
    """Tokens of each row, log-normal, of `shapes` distinct lengths at most; the first is the longest."""
    drawn = np.exp(np.random.default_rng(0).normal(np.log(400), 1.2, rows)).clip(20, longest)
    drawn = np.append(np.resize(drawn[: max(0, shapes - 1)], rows - 1), longest) if shapes > 1 else [longest] * rows
    return np.asarray(drawn).astype(np.int64)[::-1]


def plan(blocks: int, rows: int, longest: int, shapes: int) -> dict[str, Any]:
    """CPU seconds and bytes of each prediction of a plan."""
    model = tiny_model("qwen3", num_hidden_layers=blocks, vocab_size=VOCABULARY, intermediate_size=192)
    attach(model, LoRA(rank=8, alpha=16.0))
    lengths = lengths_of(rows, longest + 1, shapes)
    train, held_out = BenchRows(lengths, VOCABULARY), BenchRows(lengths[: rows // 10], VOCABULARY)
    how = recipe(layout=Packed(tokens=2048), rule=LoRA(rank=8))
    anatomy = Anatomy(model)
    demand = Demand(anatomy, train)
    stages = {
        "training": lambda: demand.bytes(how),
        "validation": lambda: demand.validation(how, held_out),
        "loss": lambda: scoring(anatomy.forward(MaskedCrossEntropy(), chunk=CHUNK), held_out, SCORED),
        "answers": lambda: answering(model, 20, 100, 32),
        "verification": lambda: verifying(anatomy, ["adjoint", "checkpoint_gradients"], 32),
    }
    seconds, predicted = dict[str, float](), dict[str, int]()
    for name, ask in stages.items():
        began = time.process_time()
        predicted[name] = ask()
        seconds[name] = round(time.process_time() - began, 2)
    return {"blocks": blocks, "shapes": shapes, "seconds": seconds, "bytes": predicted}


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, nargs="+", default=[4])
    parser.add_argument("--shapes", type=int, nargs="+", default=[200], help="distinct lengths")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--longest", type=int, default=8500)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    found = [plan(n, given.rows, given.longest, shapes) for n in given.blocks for shapes in given.shapes]
    for one in found:
        print(f"{one['blocks']:3} blocks {one['shapes']:4} lengths {sum(one['seconds'].values()):7.2f} CPU s  {one}")
    print(json.dumps({"command": "planning", **setting(), "sides": found}), flush=True)


if __name__ == "__main__":
    main()
