"""The predicted peak of training against the measured one: python -m tests.bench.memory_model

Each configuration is trained for a few steps by the same loop as a run, with random weights. The prediction is made
before any weight exists. `--cuda` takes the set for a large GPU. The last line is JSON.
"""

import argparse
import gc
import importlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tasks.budget.anatomy import Anatomy
from tasks.budget.heaviest import heaviest
from tasks.budget.training import footprint
from tasks.lora import LoRA
from tasks.lora.attach import attach
from tasks.loss import MaskedCrossEntropy
from tasks.memory import begin_peak, limits
from tasks.model import Model
from tasks.model.base import load_base
from tasks.model.dense import dense_base
from tasks.optim import AdamW
from tasks.settings import Train
from tasks.step import Recipe
from tasks.step.forward import usual_share
from tasks.step.loop import Training
from tasks.step.update import is_compiled, named
from tests.bench.memory_cases import CASES, CUDA, Case
from tests.bench.report import setting
from tests.bench.rows import BenchRows, chat_rows
from tests.bench.shapes import SHAPES, STARTER

import mlx.core as mx  # isort: skip
import mlx.nn as nn  # isort: skip
from mlx.utils import tree_map  # isort: skip


def lazy_model(case: Case) -> nn.Module:
    """The model of a case, adapters attached, none of its arrays computed."""
    if case.model == "starter":
        model = load_base(Model(path=str(STARTER))).model
    elif case.model.startswith(("/", ".", "~")):
        model = load_base(Model(path=case.model)).model
    else:
        mx.random.seed(0)
        if case.model in SHAPES:
            from mlx_lm.models import qwen3

            model: Any = qwen3.Model(SHAPES[case.model])
        else:
            family, _, size = case.model.partition(":")
            module = importlib.import_module(f"mlx_lm.models.{family}")
            model = module.Model(module.ModelArgs.from_dict(case.config(family, size)))
        model.update(tree_map(lambda a: a.astype(getattr(mx, case.dtype)), model.parameters()))
    if case.bits is not None:
        nn.quantize(model, 64, case.bits)
    model.eval()
    model.freeze()
    attach(model, LoRA(rank=case.rank, alpha=2.0 * case.rank, targets=case.targets))
    return model


def recipe_of(case: Case) -> Recipe:
    """How a case is trained."""
    return Recipe(
        rule=LoRA(rank=case.rank, targets=case.targets),
        layout=case.layout,
        loss=MaskedCrossEntropy(),
        optim=AdamW(),
        memory=case.memory,
        train=Train(accumulate=case.accumulate),
        steps=case.steps,
        seed=0,
    )


def rows_of(case: Case, vocabulary: int) -> BenchRows:
    """Chat-like rows, or rows of one length."""
    if case.length is None:
        return chat_rows(64, vocabulary, longest=case.longest)
    return BenchRows(np.full(16, case.length + 1), vocabulary)


def run(case: Case, *, measure: bool = True) -> dict[str, Any]:
    """A case's prediction and what its training held."""
    model, how = lazy_model(case), recipe_of(case)
    vocabulary = min(m.weight.shape[0] for m in model.modules() if isinstance(m, nn.Embedding | nn.QuantizedEmbedding))
    rows = rows_of(case, vocabulary)
    began = time.perf_counter()
    found_batches = heaviest(rows, how.layout, seed=0, batches=how.steps * how.train.accumulate)
    try:
        usual = usual_share(rows, how.loss) if is_compiled(how.train) else None
        limit = None if how.memory.limit_gb is None else how.memory.budget
        parts = footprint(Anatomy(model), how, found_batches, limit=limit, usual=usual).model_dump()
    except Exception as error:  # the measurement is wanted all the same
        print(f"{case.name}: not told: {type(error).__name__}: {error}", flush=True)
        parts = {}
    told = time.perf_counter() - began
    if not measure:
        return {
            "case": case.name,
            "predicted_bytes": sum(parts.values()),
            "seconds_to_predict": round(told, 2),
            "parts": parts,
        }
    others = begin_peak(named(model.parameters()).values())
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, limits(how.memory), dense_base(model, how.memory.base):
        Training(model, rows, None, how, Path(folder)).run([])
    real = mx.get_peak_memory() - others
    found = {
        "case": case.name,
        "predicted_bytes": sum(parts.values()),
        "measured_bytes": real,
        "ratio": round(sum(parts.values()) / real, 4),
        "seconds_to_predict": round(told, 2),
        "seconds_to_train": round(time.perf_counter() - began, 1),
        "parts": parts,
    }
    del model
    gc.collect()
    mx.clear_cache()
    return found


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuda", action="store_true", help="the shapes of 0.6B and 8B, for a GPU of 80 GB or more")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no case after this long")
    parser.add_argument("--predict", action="store_true", help="train nothing")
    given = parser.parse_args()
    began, found = time.perf_counter(), []
    for case in CUDA if given.cuda else CASES:
        if given.only not in case.name or time.perf_counter() - began > given.seconds:
            continue
        try:
            one = run(case, measure=not given.predict)
        except Exception as error:  # what is too large ends nothing but its own line
            print(f"{case.name}: {type(error).__name__}: {error}", flush=True)
            continue
        if given.predict:
            print(f"{case.name:58} {one['predicted_bytes'] / 1e6:10,.1f}  {one['parts']}", flush=True)
            continue
        found.append(one)
        figures = f"{one['predicted_bytes'] / 1e6:10,.1f} {one['measured_bytes'] / 1e6:10,.1f} {one['ratio']:7.3f}"
        parts = " ".join(f"{name}={nbytes / 1e6:,.0f}" for name, nbytes in one["parts"].items())
        print(f"{case.name:58} {figures}  {parts}  {one['seconds_to_train']} s", flush=True)
    ratios = [one["ratio"] for one in found]
    spread = {"least": min(ratios), "most": max(ratios), "cases": len(found)} if found else {}
    print(json.dumps({"command": "memory_model", **setting(), **spread, "sides": found}), flush=True)


if __name__ == "__main__":
    main()
