"""Writes report.md of a search: the best adapter, the plots, the trials in a table."""

from collections.abc import Mapping
from typing import Any

from pipelines.report.markdown import block, code, prose, table
from pipelines.search.plots import PLOTS


def headline(report: dict[str, Any]) -> str:
    """The search in one line.

    Example:
        >>> headline({"study": "s", "states": {"complete": 2, "pruned": 1}, "objective": "evaluate.loss_after",
        ...     "best": {"number": 1, "value": 0.5, "values": {"lora.rank": 8}}, "trials": [0, 0, 0]})
        's: 3 trials (2 complete, 1 pruned), best evaluate.loss_after 0.5 in trial 1: lora.rank=8'
    """
    states = ", ".join(f"{count} {state}" for state, count in report["states"].items())
    line = f"{report['study']}: {len(report['trials'])} trials ({states})"
    if (best := report["best"]) is None:
        return f"{line}, none to choose from"
    values = " ".join(f"{key}={_short(value)}" for key, value in best["values"].items())
    return f"{line}, best {report['objective']} {_short(best['value'])} in trial {best['number']}: {values}"


def markdown(report: dict[str, Any], pictures: Mapping[str, str]) -> str:
    """report.md.

    Args:
        report: report.json's content.
        pictures: where each of PLOTS is, by name; those that are not there are left out.
    """
    parts = [f"# {report['study']}\n\n{headline(report)}\n\n{code(report['folder'])}\n"]
    if best := report["best"]:
        parts.append(f"## The best adapter\n\n{_place(best)}\n\n{block(best['command'])}")
    for name, about in PLOTS.items():
        if name in pictures:
            parts.append(f"## {about}\n\n![{about}]({pictures[name]})\n")
    parts.append(_table(report))
    return "\n".join(parts)


def _place(best: Mapping[str, Any]) -> str:
    if best["adapter"] is None:
        return f"On another machine, whose worker copies it to its own best/: {code(best['where'])}"
    return f"{code(best['adapter'])}, sha256 {code(best['sha256'])}\n\nVerified: {', '.join(best['checks'])}."


def _table(report: dict[str, Any]) -> str:
    keys = [*dict.fromkeys(key for row in report["trials"] for key in row["values"])]
    head = ["trial", "state", report["objective"], *keys, "seconds", ""]
    chosen, rows = report["best"]["number"] if report["best"] else None, []
    for row in report["trials"]:
        mark = "**" if row["number"] == chosen else ""
        value = "" if row["value"] is None else _short(row["value"])
        tried = [_cell(row["values"][key]) if key in row["values"] else "" for key in keys]
        number, seconds = f"{mark}{row['number']}{mark}", f"{row['seconds']:.1f}"
        rows.append([number, row["state"], value, *tried, seconds, _cell(row["detail"])])
    return f"## Trials\n\n{table(head, rows)}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(value: Any) -> str:
    """A cell of the table of trials; text is shown as it is."""
    return prose(value) if isinstance(value, str) else _short(value)
