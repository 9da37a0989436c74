"""Shows what a run would train on, token by token, and whether it fits the memory; trains nothing.

python -m pipelines.plan +experiment=quickstart
python -m pipelines.plan data.train=chat.jsonl 'data.columns={prompt: question, completion: answer}' memory=auto
"""

from pipelines.command.line import command
from pipelines.command.preflight import preflight
from pipelines.config import Run, compose

if __name__ == "__main__":
    command("pipelines.plan", preflight)

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from pipelines.command.terminal import show_log
from pipelines.report.show_plan import advice, remarks, show_counts, show_longest_rows, show_plan
from pipelines.report.show_tokens import show_tokens, where
from pipelines.report.terminal_text import plain
from pipelines.report.tokens_page import PAGE, write_tokens_page
from pipelines.report.too_long import show_too_long
from pipelines.run.folder import make_folder
from pipelines.run.run_dir import OUTPUTS, TOKENS
from pipelines.search.would_fit import longest_rows
from tasks.data import Data, TokenCache
from tasks.errors import DataError, GraftlineError
from tasks.model.base import load_base
from tasks.model.context_limits import limits_of
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
    cache, data, refused = _tokens(run)
    try:
        if refused:
            raise refused
        make_folder(folder)
        agreed = plan.fn(
            cache, run.model, run.recipe(), run.evaluate, run.verify, folder / "plan.json", probe=run.plan.probe
        )
    except GraftlineError:
        _show_rows(cache, data, run, folder, console)
        show_counts(cache.splits, console)
        for line in remarks(cache.splits):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        if limit := run.data.max_tokens or _positions(run):
            show_too_long(cache.split("train"), limit, console, texts=set(cache.splits["train"].formats) == {"text"})
        raise
    _show_rows(cache, data, run, folder, console)
    show_plan(agreed, console)
    for line in advice(agreed, cache.split("train"), run.seed):
        console.print(line, highlight=False, soft_wrap=True)
    for name in ("plan.json", PAGE):
        console.print(plain(folder / name), soft_wrap=True)


def _tokens(run: Run) -> tuple[TokenCache, Data, DataError | None]:
    """The token cache, how it was read, and what the run would stop at: a plan shows such rows all the same.

    Raises:
        DataError: nothing can be shown, however rows are read.
    """
    try:
        return tokenize.fn(run.data, run.model, TOKENS), run.data, None
    except DataError as error:
        looser = {"max_tokens": None, "truncate": "error"} if run.data.truncate == "error" else {}
        for changes in (looser, {**looser, "strict": False}):
            data = run.data.model_copy(update=changes)
            if data != run.data:
                with suppress(DataError):
                    return tokenize.fn(data, run.model, TOKENS), data, error
        raise


def _show_rows(cache: TokenCache, data: Data, run: Run, folder: Path, console: Console) -> None:
    make_folder(folder)
    shown = write_tokens_page(cache, data, run.model, folder)
    show_tokens(shown, [where(example, data, cache) for example in shown], console)
    console.print()


def _positions(run: Run) -> int | None:
    """The longest row that the model takes; None where the model itself is refused."""
    with suppress(GraftlineError):
        base = load_base(run.model)
        return limits_of(base.model, base.config).positions
    return None
