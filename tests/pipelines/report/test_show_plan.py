"""The plan as text: every figure, bars that fit, remarks that cannot be mistaken for markup."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pipelines.report.show_plan import faster_layout, histogram, mixtures, remarks, show_plan
from tasks.batch import Bucketed, Packed, Padded
from tasks.budget.parts import Parts
from tasks.data import SplitStats
from tasks.data.format.message import SPEAKERS
from tasks.data.format.unread import Unread
from tasks.data.render.tokens import Tokens
from tasks.data.store.mix import SourceStats
from tasks.data.store.stats import split_stats
from tasks.data.store.tally import Remark, Tally
from tasks.memory import Memory
from tasks.plan import Plan


def stats(lengths: list[int]) -> SplitStats:
    stops = np.cumsum(lengths)
    index = np.array([(b - a, b, 0, n + 1, n % 3, 0, 0) for n, (a, b) in enumerate(zip(lengths, stops, strict=True))])
    weights = np.ones(stops[-1], np.float32)
    weights[: lengths[0]] = 0
    who = np.full(stops[-1], SPEAKERS.index("assistant"), np.uint8)
    tally = Tally(rows=2000)
    tally.drop("[red]not JSON\x1b[0m", 17)
    for line in range(1, 8):
        tally.drop("too long", line)
    tally.keep(Tokens([1], [0.0], unread=(Unread("context", "text"),)), "chat", 3)
    return split_stats(index, (np.zeros(stops[-1], np.uint32), weights, who), tally, np.zeros(0, bool))


@pytest.fixture
def agreed() -> Plan:
    figures = {"batches_per_epoch": 5, "padding_share": 0.125, "steps": 1234, "epochs": 2.5, "base_bytes": 10**9}
    split = stats([10, 20, 20, 1000])
    return Plan(
        splits={"train": split, "valid": split, "test": split},
        layout=Bucketed(),
        model_type="qwen3",
        adapter_modules=7,
        adapter_parameters=4096,
        training_bytes=65536,
        peak_memory_bytes=1_500_000_000,
        stages={"validation": 1_200_000_000, "loss": 1_250_000_000, "answers": 2_250_000_000},
        budget_bytes=8 * 10**9,
        probed_bytes=None,
        memory=Memory(),
        accumulate=1,
        options=(),
        peak=Parts(base=10**9, adapter=1, logits=2, kept=3, working=4, queued=5),
        **figures,
    )


@pytest.mark.parametrize("width", [80, 160])
def test_every_figure_fits_the_terminal(agreed: Plan, width: int) -> None:
    out = io.StringIO()
    show_plan(agreed, Console(file=out, width=width, force_terminal=True, color_system=None))
    shown = out.getvalue()
    for figure in (
        "2,000",
        "1,050",
        "1,040",
        "1,000",
        "1,234",
        "12.5% of the positions, bucketed",
        "4,096 parameters",
        "2.250 GB of 8.000 GB",
        "1.500 GB",
        "1.250 GB",
        "1.200 GB",
    ):
        assert figure in shown, figure
    tables = [line for line in shown.splitlines() if "│" in line or "█" in line]
    assert max(map(len, tables)) <= 80


def test_bars(agreed: Plan) -> None:
    lines = histogram(agreed.splits["train"])
    counts = [int(line.split()[-1]) for line in lines]
    assert sum(counts) == 4
    assert max(line.count("█") for line in lines) == 40
    assert all(("█" in line or "▏" in line) == (count > 0) for line, count in zip(lines, counts, strict=True))


def test_remarks_name_the_first_lines_and_obey_nothing(agreed: Plan) -> None:
    split = agreed.splits["train"].model_copy(update={"overlap": 1, "overlap_lines": (4,), "weighted": Remark()})
    assert remarks({"train": split}) == [
        "train: 1 x dropped: [red]not JSON‹U+001B›[0m (line 17)",
        "train: 7 x dropped: too long (lines 1, 2, 3, 4, 5, ...)",
        "train: 1 x not read: context (line 3)",
        "train: 1 x a row repeats an earlier one (line 4)",
        "train: 1 x a row stands in train too (line 4)",
    ]


def test_a_mixture_is_told_source_by_source(agreed: Plan) -> None:
    figures = {"rows": 9, "available": 8, "examples": 6, "left_out": 2, "repeated": 0, "tokens": 50}
    sources = tuple(
        SourceStats(path=p, weight=w, share=s, **figures) for p, w, s in (("a", 3.0, 0.75), ("b", None, 0.25))
    )
    split = agreed.splits["train"].model_copy(update={"sources": sources})
    assert mixtures({"train": split, "test": agreed.splits["test"]}) == [
        "train: 75.0% from a (weight 3): 6 examples, 2 left out, 0 repeated",
        "train: 25.0% from b: 6 examples, 2 left out, 0 repeated",
    ]


def test_a_faster_layout_is_named_where_one_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: Any = SimpleNamespace(lengths=np.full(64, 31))
    packed = Packed(tokens=1024)
    monkeypatch.setattr("pipelines.report.show_plan.backend", lambda: "cpu")
    (line,) = faster_layout(packed, rows, 0.0, seed=0)
    assert line.startswith("faster on this CPU: batch=bucketed batch.tokens=1024, of which ")
    uneven: Any = SimpleNamespace(lengths=np.full(64, 3))
    assert faster_layout(packed, uneven, 0.0, seed=0) == []
    assert "batch=packed" in faster_layout(Padded(size=4), uneven, 0.7, seed=0)[0]
    monkeypatch.setattr("pipelines.report.show_plan.backend", lambda: "metal")
    assert faster_layout(packed, rows, 0.0, seed=0) == []
