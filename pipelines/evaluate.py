"""evaluate: held-out loss and sample answers of an adapter, base against adapter.

python -m pipelines.evaluate adapter=outputs/runs/NAME/TIME-ID/adapter data.valid=FILE
"""

from pipelines.adapter_argument import with_adapter
from pipelines.command import command

if __name__ == "__main__":
    command("pipelines.evaluate", lambda overrides: with_adapter(overrides, held_out=True), flags=False)

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from pipelines.folder import make_folder
from pipelines.run_dir import TOKENS
from tasks.adapter import read_adapter
from tasks.evaluate import evaluate
from tasks.tokenize import tokenize


def main(overrides: Sequence[str]) -> None:
    """The command: prints the scores and the first answers; with `run_dir=DIR` it writes evaluate.json there."""
    folder, run = with_adapter(overrides, held_out=True)
    if run.run_dir is not None:
        make_folder(Path(run.run_dir).expanduser())
    cache = tokenize.fn(run.data, run.model, TOKENS)
    with TemporaryDirectory() as nowhere:
        out = Path(run.run_dir or nowhere).expanduser()
        scores = evaluate.fn(read_adapter(folder), cache, run.model, run.evaluate, out / "evaluate.json")
    table = Table("", "base", "adapter", title=f"{scores.examples:,} {scores.split} examples")
    table.add_row("loss, nats a token", f"{scores.loss_before:.4f}", f"{scores.loss_after:.4f}")
    if scores.metric_before is not None and scores.metric_after is not None:
        table.add_row(
            f"{scores.metric} of {scores.answered}", f"{scores.metric_before:.1%}", f"{scores.metric_after:.1%}"
        )
    console = Console()
    console.print(table)
    answers = Table("reference", "base", "adapter")
    for sample in scores.samples:
        answers.add_row(sample.reference, sample.before, sample.after)
    if scores.samples:
        console.print(answers)
