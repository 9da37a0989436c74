"""Ends a search: the best adapter copied out, report.md, report.json and their plots written."""

from collections import Counter
from typing import Any

from rich.console import Console

from pipelines.orchestrate.as_task import AsStage
from pipelines.report.terminal_text import plain
from pipelines.search.best import copy_best
from pipelines.search.plots import draw
from pipelines.search.search import Search
from pipelines.search.study import Study
from pipelines.search.study_report import headline, markdown
from pipelines.search.trials import best_of, importances, trials
from tasks.artifact import write_json, write_text
from tasks.errors import RunError


def conclude(search: Search, study: Study, as_stage: AsStage) -> dict[str, Any]:
    """Writes the report of a search, and makes sure of its best adapter; gives report.json's content.

    Raises:
        RunError: no trial is complete; the report is written all the same.
        VerifyError: the best adapter does not pass in full.
    """
    sweep, rows = search.sweep, trials(search, study)
    best = best_of(rows, sweep.direction)
    report = {
        "study": sweep.study,
        "folder": str(search.folder),
        "storage": study.storage.name,
        "objective": sweep.objective,
        "direction": sweep.direction,
        "states": dict(Counter(row["state"] for row in rows)),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "best": None,
        "importances": importances(study),
        "trials": rows,
    }
    if best is not None:
        copied = copy_best(search, best, as_stage)
        report["best"] = {"number": best["number"], "value": best["value"], "values": best["values"], **copied}
    drawn = draw(report)
    for name, svg in drawn.items():
        write_text(search.folder / name, svg)
    write_text(search.folder / "report.md", markdown(report, {name: name for name in drawn}))
    write_json(search.folder / "report.json", report)
    if best is None:
        reasons = "; ".join(f"trial {row['number']}: {row['detail']}" for row in rows[:3])
        raise RunError(f"none of the {len(rows)} trials of {sweep.study} is complete: {reasons}")
    return report


def say_search(report: dict[str, Any]) -> None:
    """The result on standard output."""
    console = Console()
    for line in (
        headline(report),
        report["best"]["command"],
        report["best"]["adapter"] or f"the adapter is on another machine: {report['best']['where']}",
        f"{report['folder']}/report.md",
    ):
        console.print(plain(line), soft_wrap=True)
