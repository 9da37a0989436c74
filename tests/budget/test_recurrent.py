"""A loop over positions is found without a weight, and its training is bounded in seconds, never under."""

import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tasks.batch import Bucketed
from tasks.budget.anatomy import Anatomy
from tasks.budget.choices import fastest
from tasks.budget.demand import Demand
from tasks.budget.heaviest import heaviest
from tasks.budget.recurrent import loop_of
from tasks.budget.training import footprint
from tasks.lora import LoRA
from tasks.lora.attach import attach
from tasks.memory import GB, Checkpoint, Memory, begin_peak
from tasks.step.loop import Training
from tasks.step.update import named
from tests.attention.families import SAME, tiny
from tests.bench.rows import BenchRows
from tests.tiny import arrays
from tests.training import recipe


def mamba(**changes: Any) -> Any:
    model = tiny("mamba", **{"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, **changes})
    model.freeze()
    attach(model, LoRA(rank=4, alpha=8.0))
    return model


def test_a_loop_is_told_from_attention() -> None:
    assert all(loop_of(tiny(family)) is None for family in SAME)
    model = mamba()
    before = arrays(model.parameters())
    loop: Any = loop_of(model)
    assert (loop.blocks, loop.sliced) == (3, 4 * 256)
    assert loop.operations > 3 * 10
    assert loop.is_long(2048)
    assert not loop.is_long(16)
    assert all(array is before[name] for name, array in arrays(model.parameters()).items())


@pytest.mark.parametrize("checkpoint", ["none", "all", 2])
def test_the_bound_is_never_under(checkpoint: Checkpoint, tmp_path: Path) -> None:
    model, length = mamba(), 256
    how = recipe(layout=Bucketed(tokens=length), memory=Memory(checkpoint=checkpoint), steps=1)
    rows = BenchRows(np.array([length + 1] * 2), 300)
    assert loop_of(model).is_long(length)  # type: ignore[union-attr]
    told = footprint(Anatomy(model), how, heaviest(rows, how.layout, seed=0, batches=2)).total
    others = begin_peak(named(model.parameters()).values())
    Training(model, rows, None, how, tmp_path).run([])
    real = mx.get_peak_memory() - others
    assert real <= told <= 5 * real


def test_short_rows_are_traced() -> None:
    model, how = mamba(), recipe(layout=Bucketed(tokens=16))
    rows = BenchRows(np.array([17] * 2), 300)
    assert footprint(Anatomy(model), how, heaviest(rows, how.layout, seed=0, batches=2)).working > 0


def test_many_choices_are_weighed_without_tracing_a_long_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["tasks.budget.training"], "step_graph", lambda *_: pytest.fail("traced"))
    demand = Demand(Anatomy(mamba()), BenchRows(np.array([700] * 8), 300))
    how = recipe(layout=Bucketed(tokens=4096), memory=Memory(auto=True))
    most = demand.bytes(how)
    options = fastest(how, demand.longest, False, demand.bytes, most // 3)
    assert options[-1].fits
    assert options[-1].peak_bytes <= most // 3 < 10 * GB
