"""Hydra's multirun (`-m`): the runs of one command in one folder, with a table of what came of each."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.config import compose_plain
from pipelines.config.override import override
from pipelines.report import markdown
from tasks.artifact import write_text
from tasks.errors import ConfigError

SUMMARY = "summary.md"
FIGURES = ("status", "held-out loss", "score", "training", "peak memory")


class Job(NamedTuple):
    """One run of a multirun.

    Attributes:
        overrides: of the run, its run directory among them.
        folder: its own within that of the multirun.
    """

    overrides: list[str]
    folder: Path

    @property
    def given(self) -> dict[str, str]:
        """The overrides by key."""
        return {key.lstrip("+"): value for key, _, value in (override.partition("=") for override in self.overrides)}

    @property
    def run_dir(self) -> Path:
        """Where it writes, what it says of it resolved."""
        with suppress(ConfigError):
            return Path(compose_plain(self.overrides)["run_dir"]).expanduser()
        return self.folder


def own_folder(overrides: list[str], folder: Path) -> Job:
    """The job of these overrides, in a run directory of its own unless they name one.

    Example:
        >>> own_folder(["lora.rank=4"], Path("outputs/multirun/now/0")).overrides
        ['lora.rank=4', 'run_dir=outputs/multirun/now/0']
    """
    given = "run_dir" in Job(overrides, folder).given
    return Job(overrides if given else [*overrides, override("run_dir", str(folder))], folder)


def summarize(jobs: list[Job]) -> None:
    """Writes summary.md into the folder of a multirun and prints the same."""
    folder, (head, rows) = jobs[0].folder.parent, table(jobs)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / SUMMARY, f"# Multirun\n\n{markdown.table(head, rows)}")
    shown, console = Table(*head), Console()
    for row in rows:
        shown.add_row(*map(Text, row))
    console.print(shown)
    console.print(str(folder / SUMMARY), highlight=False, markup=False, soft_wrap=True)


def table(jobs: list[Job]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the summary: what differs between the runs, and what came of each."""
    given = [job.given for job in jobs]
    keys = [*dict.fromkeys(key for one in given for key in one if key != "run_dir")]
    varied = [key for key in keys if len({one.get(key) for one in given}) > 1]
    rows = []
    for job, one in zip(jobs, given, strict=True):
        found = _result(job.run_dir)
        rows.append([str(job.run_dir), *(one.get(key, "") for key in varied), *(found[key] for key in FIGURES)])
    return ["run", *varied, *FIGURES], rows


def _result(folder: Path) -> dict[str, str]:
    """What a run directory says of its run, as text; a run that did not come to its end says so."""
    try:
        report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except OSError:
        return {**dict.fromkeys(FIGURES, ""), "status": "not finished"}
    scores, trained = report["evaluate"], report["train"]
    metric, loss = scores["metric_after"], scores["loss_after"]
    return {
        "status": report["status"],
        "held-out loss": "" if loss is None else f"{scores['loss_before']:.3f} -> {loss:.3f}",
        "score": "" if metric is None else f"{scores['metric'].replace('_', ' ')} {metric:.1%}",
        "training": f"{trained['steps']:,} steps in {trained['seconds']:.1f} s",
        "peak memory": f"{trained['peak_memory_bytes'] / 1e9:.3f} GB",
    }
