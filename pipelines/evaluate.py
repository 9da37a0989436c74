"""Scores an adapter on held-out rows: the loss and the answers, beside those of its base.

python -m pipelines.evaluate adapter=outputs/runs/mine/adapter data.valid=examples/starter/test.jsonl
python -m pipelines.evaluate adapter=outputs/runs/mine/adapter data.valid=chat.jsonl evaluate.generate=16
"""

from pipelines.command.adapter_argument import adapter_name, with_adapter, with_form
from pipelines.command.line import command

if __name__ == "__main__":
    command("pipelines.evaluate", lambda overrides: with_adapter(overrides, held_out=True), flags=False)

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from rich.console import Console
from rich.table import Table

from pipelines.command.terminal import quiet_user_errors
from pipelines.config import Run
from pipelines.orchestrate.as_task import AsStage, as_function
from pipelines.report.artifacts import publish_page
from pipelines.report.figure import change, figure
from pipelines.report.markdown import code
from pipelines.report.markdown import table as markdown_table
from pipelines.report.run_report import answers
from pipelines.report.terminal_text import plain
from pipelines.run.folder import make_folder
from pipelines.run.gpu_lock import gpu_lock
from pipelines.run.run_dir import TOKENS
from tasks.adapter import read_adapter
from tasks.errors import ConfigError
from tasks.evaluate import Scores
from tasks.evaluate import evaluate as evaluate_task
from tasks.tokenize import tokenize


def run_name() -> str:
    """The flow run's name in the UI: the adapter and the rows."""
    given = flow_run.parameters
    return f"{adapter_name(given['adapter'])} on {Path(given['rows']).name}"


@flow(name="evaluate", flow_run_name=run_name)
def evaluate(
    adapter: str,
    rows: str,
    overrides: list[str] = [],  # noqa: B006 (Prefect reads the default for its form)
) -> dict[str, Any]:
    """Score an adapter on held-out rows, beside its base.

    Args:
        adapter: The adapter's directory, such as outputs/runs/NAME/TIME-ID/adapter.
        rows: The held-out rows, such as examples/starter/test.jsonl; a file or a hub dataset.
        overrides: One change an item, such as evaluate.generate=16, evaluate.examples=200 or model.path=/models/mine.
    """
    quiet_user_errors()
    folder, run = with_form(adapter, rows, overrides)
    scores = _score(folder, run, lambda stage: stage)
    publish_page("scores", markdown(folder, scores), headline(scores))
    return scores.model_dump(mode="json")


def headline(scores: Scores) -> str:
    """The scores in one line."""
    line = f"{scores.examples:,} {scores.split} examples: loss {change(scores.loss_before, scores.loss_after, '.4f')}"
    if scores.metric_before is None or scores.metric_after is None:
        return line
    return f"{line}, {scores.metric.replace('_', ' ')} {scores.metric_before:.1%} -> {scores.metric_after:.1%}"


def figures(scores: Scores) -> list[tuple[str, str, str]]:
    """What was measured, of the base and with the adapter."""
    rows = [("loss, nats a token", figure(scores.loss_before, ".4f"), figure(scores.loss_after, ".4f"))]
    if scores.metric_before is not None and scores.metric_after is not None:
        what = f"{scores.metric} of {scores.answered}"
        rows.append((what, f"{scores.metric_before:.1%}", f"{scores.metric_after:.1%}"))
    return rows


def markdown(folder: Path, scores: Scores) -> str:
    """The page of the UI."""
    page = f"# {headline(scores)}\n\n{code(str(folder))}\n\n{markdown_table(('', 'base', 'adapter'), figures(scores))}"
    return f"{page}\n## Held-out answers\n\n{answers(scores.model_dump())}" if scores.samples else page


def main(overrides: Sequence[str]) -> None:
    """The command, without Prefect: prints scores and first answers; with `run_dir=DIR` writes evaluate.json there."""
    folder, run = with_adapter(overrides, held_out=True)
    scores, console = _score(folder, run, as_function), Console()
    table = Table("", "base", "adapter", title=f"{scores.examples:,} {scores.split} examples")
    for row in figures(scores):
        table.add_row(*map(plain, row))
    console.print(table)
    for line in scores.problems:
        console.print(plain(line))
    answers_table = Table("reference", "base", "adapter")
    for sample in scores.samples:
        answers_table.add_row(*map(plain, (sample.reference, sample.before, sample.after)))
    if scores.samples:
        console.print(answers_table)


def _score(folder: Path, run: Run, as_stage: AsStage) -> Scores:
    if run.evaluate.examples == 0:
        raise ConfigError("evaluate.examples=0 scores nothing; leave it out, and evaluate=off")
    if run.run_dir is not None:
        make_folder(Path(run.run_dir).expanduser())
    cache = as_stage(tokenize)(run.data, run.model, TOKENS)
    with TemporaryDirectory() as nowhere, gpu_lock(run.gpu_lock, folder, run.name):
        out = Path(run.run_dir or nowhere).expanduser()
        return as_stage(evaluate_task)(
            read_adapter(folder), cache, run.model, run.evaluate, out / "evaluate.json", memory=run.memory
        )
