"""Runs Hydra's multirun (`-m`) in one folder, and tabulates what the runs came to."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from pipelines.config import compose_plain
from pipelines.config.override import override
from pipelines.report import markdown
from pipelines.report.figure import change
from pipelines.report.terminal_text import plain
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
        """Where it writes, with interpolations resolved."""
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
    """Writes summary.md into the folder of a multirun and prints its table."""
    folder, (head, rows) = jobs[0].folder.parent, table(jobs)
    cells = [[markdown.prose(cell) for cell in row] for row in rows]
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / SUMMARY, f"# Multirun\n\n{markdown.table(head, cells)}")
    shown, console = Table(*head), Console()
    for row in rows:
        shown.add_row(*map(plain, row))
    console.print(shown)
    console.print(plain(folder / SUMMARY), soft_wrap=True)


def table(jobs: list[Job]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the summary: what differs between the runs, and how each ended."""
    given = [job.given for job in jobs]
    keys = [*dict.fromkeys(key for one in given for key in one if key != "run_dir")]
    varied = [key for key in keys if len({one.get(key) for one in given}) > 1]
    rows = []
    for job, one in zip(jobs, given, strict=True):
        result = _result(job.run_dir)
        rows.append([str(job.run_dir), *(one.get(key, "") for key in varied), *(result[key] for key in FIGURES)])
    return ["run", *varied, *FIGURES], rows


def _result(folder: Path) -> dict[str, str]:
    """The figures of a run directory as text; a run without a report is not finished."""
    try:
        report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except OSError:
        return {**dict.fromkeys(FIGURES, ""), "status": "not finished"}
    scores, trained = report["evaluate"], report["train"]
    metric, loss = scores["metric_after"], scores["loss_after"]
    return {
        "status": report["status"],
        "held-out loss": "" if loss is None else change(scores["loss_before"], loss, ".3f"),
        "score": "" if metric is None else f"{scores['metric'].replace('_', ' ')} {metric:.1%}",
        "training": f"{trained['steps']:,} steps in {trained['seconds']:.1f} s",
        "peak memory": f"{trained['peak_memory_bytes'] / 1e9:.3f} GB",
    }
