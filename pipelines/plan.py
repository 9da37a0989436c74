"""plan: tokenizes and counts, trains nothing; says what a run would train on and what it comes to.

python -m pipelines.plan +experiment=quickstart
"""

from pipelines.command import command
from pipelines.config import compose
from pipelines.preflight import preflight

if __name__ == "__main__":
    command("pipelines.plan", preflight)

import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.console import show_log
from pipelines.run_dir import TOKENS
from tasks.plan import Plan, plan
from tasks.tokenize import tokenize


def main(overrides: Sequence[str]) -> None:
    """The command: plain functions, no Prefect. With `run_dir=DIR` it writes plan.json there."""
    run = compose(overrides)
    show_log()
    cache = tokenize.fn(run.data, run.model, TOKENS)
    with tempfile.TemporaryDirectory() as nowhere:
        folder = Path(run.run_dir or nowhere)
        folder.mkdir(parents=True, exist_ok=True)
        agreed = plan.fn(cache, run.model, run.lora, run.batch, run.train, run.seed, folder / "plan.json")
    show(agreed, Console())


def show(agreed: Plan, console: Console) -> None:
    """The plan as two tables."""
    splits = Table("", *agreed.splits)
    counted = ("rows", "examples", "tokens", "supervised_tokens", "longest", "duplicates", "overlap")
    for name in counted:
        splits.add_row(name.replace("_", " "), *(f"{getattr(split, name):,}" for split in agreed.splits.values()))
    splits.add_row("dropped", *(f"{sum(r.count for r in s.dropped.values()):,}" for s in agreed.splits.values()))
    splits.add_row("formats", *(", ".join(f"{k} {n:,}" for k, n in s.formats.items()) for s in agreed.splits.values()))
    console.print(splits)
    for name, split in agreed.splits.items():
        for reason, remark in {**split.dropped, **split.lost, **split.notes}.items():
            lines = ", ".join(map(str, remark.lines))
            console.print(f"{name}: {remark.count:,} x {reason} (lines {lines})", highlight=False, soft_wrap=True)
    facts = Table("", "", show_header=False)
    facts.add_row("steps", f"{agreed.steps:,} over {agreed.epochs:,.2f} epochs of {agreed.batches_per_epoch:,} batches")
    facts.add_row("padding", f"{agreed.padding_share:.1%} of the positions")
    facts.add_row("adapter", f"{agreed.adapter_parameters:,} parameters on {agreed.adapter_modules} projections")
    facts.add_row("base", f"{agreed.model_type}, {agreed.base_bytes / 1e9:,.3f} GB of weights")
    facts.add_row("training state", f"{agreed.training_bytes / 1e9:,.3f} GB beside the activations")
    console.print(facts)
