"""Validation between the steps against its measured peak; what is said of a stage that holds too much."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tasks.batch import Bucketed, Packed
from tasks.budget.anatomy import Anatomy
from tasks.budget.demand import Demand
from tasks.budget.later_stages import FIX, WHAT, estimated, excess, stages_of
from tasks.lora import LoRA
from tasks.lora.attach import attach
from tasks.memory import GB, Memory, begin_peak
from tasks.settings import Evaluate, Train, Verify
from tasks.step.loop import Training
from tasks.step.update import named
from tests.bench.rows import BenchRows
from tests.tiny import tiny_model
from tests.training import recipe

SIZES = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "head_dim": 32, "vocab_size": 2000}


@pytest.mark.parametrize(
    ("family", "changes", "longest"),
    [
        ("qwen3", {"layout": Bucketed(tokens=512)}, 500),
        ("qwen3", {"layout": Packed(tokens=512), "memory": Memory(checkpoint="all", head_chunk=128)}, 300),
        ("llama", {"layout": Bucketed(tokens=256), "memory": Memory(head_chunk=None)}, 900),
    ],
    ids=repr,
)
def test_validation_is_never_under_little_over_and_below_the_step(
    family: str, changes: dict[str, Any], longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(family, **SIZES)
    attach(model, LoRA(rank=8, alpha=16.0))
    how = recipe(rule=LoRA(rank=8), train=Train(eval_every=2), **changes)
    rows, valid = BenchRows(np.array([200, 120, 250, 90] * 4), 256), BenchRows(np.array([longest, 100, 60] * 2), 256)
    demand = Demand(Anatomy(model), rows)
    stage = demand.validation(how, valid)
    others, peaks, validate = begin_peak(named(model.parameters()).values()), [], Training._validate

    def measured(self: Training, masters: Any, valid: Any) -> float:
        mx.synchronize()
        mx.reset_peak_memory()
        loss = validate(self, masters, valid)
        peaks.append(mx.get_peak_memory() - others)
        return loss

    monkeypatch.setattr(Training, "_validate", measured)
    Training(model, rows, valid, how, tmp_path).run([])
    assert max(peaks) <= stage <= 1.25 * max(peaks)
    if longest < 512 and how.memory.checkpoint == "none":
        assert stage < demand.bytes(how)  # what is kept for a backward pass is more than a validation row


def test_without_validation_rows_there_is_no_such_stage() -> None:
    rows: Any = BenchRows(np.array([20]), 256)
    cache: Any = SimpleNamespace(splits={"train": SimpleNamespace(longest=20)})
    held_out: Any = SimpleNamespace(rows=rows, asked=(), longest_prompt=0)
    demand, verify = Demand(Anatomy(tiny_model("qwen3")), rows), Verify(checks=("files",), probe_tokens=20)
    assert set(stages_of(demand, recipe(), cache, held_out, Evaluate(), verify)) == {"loss", "verification"}


def test_the_largest_stage_is_named_with_both_figures_and_a_fix() -> None:
    for name in WHAT:
        said = excess({"loss": GB, name: 3 * GB}, Memory(limit_gb=2))
        assert said == f"{WHAT[name]} would need 3 GB, the budget is 2 GB (memory.limit_gb): {FIX[name]}"
    assert excess({"loss": 2 * GB}, Memory(limit_gb=2)) is None
    assert excess({}, Memory(limit_gb=2)) is None


def test_what_cannot_be_predicted_is_said_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def ask() -> int:
        raise ValueError("Unknown primitive")

    assert estimated("loss", ask) is None
    assert "cannot predict the memory of the held-out loss (Unknown primitive); it is not checked" in caplog.text
    assert estimated("loss", lambda: 7) == 7
