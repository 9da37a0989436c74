"""Shows what a run would train on, token by token, and whether it fits the memory; trains nothing.

python -m pipelines.plan +experiment=quickstart
python -m pipelines.plan data.train=chat.jsonl 'data.columns={prompt: question, completion: answer}' memory=auto
"""

from pipelines.command.line import command
from pipelines.command.preflight import preflight
from pipelines.config import compose

if __name__ == "__main__":
    command("pipelines.plan", preflight)

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipelines.command.terminal import show_log
from pipelines.report.show_plan import show_longest_rows, show_plan
from pipelines.report.show_tokens import show_tokens, where
from pipelines.report.terminal_text import plain
from pipelines.report.tokens_page import PAGE, write_tokens_page
from pipelines.run.folder import make_folder
from pipelines.run.run_dir import OUTPUTS, TOKENS
from pipelines.search.would_fit import longest_rows
from tasks.plan import plan
from tasks.tokenize import tokenize

PLANS = OUTPUTS / "plans"


def main(overrides: Sequence[str]) -> None:
    """The command: plain functions, no Prefect. Writes into `run_dir`, or into outputs/plans/NAME."""
    show_log()
    run, console = compose(overrides), Console()
    if run.plan.longest_row:
        show_longest_rows(longest_rows(run), run.memory, console)
        return
    folder = Path(run.run_dir).expanduser() if run.run_dir else PLANS / run.name
    cache = tokenize.fn(run.data, run.model, TOKENS)
    make_folder(folder)
    agreed = plan.fn(
        cache, run.model, run.recipe(), run.evaluate, run.verify, folder / "plan.json", probe=run.plan.probe
    )
    shown = write_tokens_page(cache, run.data, run.model, folder)
    show_tokens(shown, [where(example, run.data, cache) for example in shown], console)
    console.print()
    show_plan(agreed, console)
    for name in ("plan.json", PAGE):
        console.print(plain(folder / name), soft_wrap=True)
