"""Plots a search: the best so far, importances, values tried, learning curves."""

import math
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipelines.report.picture import svg

PLOTS = {
    "history.svg": "Best so far",
    "importances.svg": "What matters",
    "parallel.svg": "What was tried",
    "curves.svg": "How the trials learnt",
}
"""The plots by the file that each is, in the order of report.md."""
COLOURS = {"complete": "#4c72b0", "pruned": "#dd8452", "infeasible": "#8c8c8c", "failed": "#c44e52"}
_BEST = "#55a868"


def draw(report: dict[str, Any]) -> dict[str, str]:
    """The plots that this report has data for, as SVG by file name."""
    wanted: dict[str, tuple[Callable[[Axes, dict[str, Any]], None], bool]] = {
        "history.svg": (history, any(row["value"] is not None for row in report["trials"])),
        "importances.svg": (importances, bool(report["importances"])),
        "parallel.svg": (parallel, any(row["value"] is not None for row in report["trials"])),
        "curves.svg": (curves, any(row["curve"] for row in report["trials"])),
    }
    return {
        name: svg(lambda axes, plot=plot: plot(axes, report), height=3.2)
        for name, (plot, drawable) in wanted.items()
        if drawable
    }


def history(axes: Axes, report: dict[str, Any]) -> None:
    """The objective of each complete trial, and the best so far over the trials."""
    done = [row for row in report["trials"] if row["value"] is not None]
    axes.plot(
        [r["number"] for r in done], [r["value"] for r in done], "o", ms=4, color=COLOURS["complete"], label="trial"
    )
    sofar = [row for row in report["trials"] if row["best"] is not None]
    axes.step([r["number"] for r in sofar], [r["best"] for r in sofar], where="post", color=_BEST, label="best so far")
    for state in ("pruned", "infeasible", "failed"):
        if marked := [row["number"] for row in report["trials"] if row["state"] == state]:
            axes.plot(marked, [0.02] * len(marked), "x", ms=4, color=COLOURS[state], label=state, transform=_foot(axes))
    axes.set(xlabel="trial", ylabel=report["objective"])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)


def importances(axes: Axes, report: dict[str, Any]) -> None:
    """The share of each key, the largest on top."""
    shares = sorted(report["importances"].items(), key=lambda item: item[1])
    axes.barh([key for key, _ in shares], [share for _, share in shares], color=COLOURS["complete"])
    axes.set(xlabel="share in being among the better half (PED-ANOVA)")


def parallel(axes: Axes, report: dict[str, Any]) -> None:
    """A line for each complete trial through what it tried, coloured by its objective."""
    done = [row for row in report["trials"] if row["value"] is not None]
    keys = [*dict.fromkeys(key for row in done for key in row["values"])]
    scales = [_scale([row["values"].get(key) for row in done]) for key in keys]
    values = sorted(row["value"] for row in done)
    better_last = sorted(done, key=lambda row: row["value"], reverse=report["direction"] == "minimize")
    for row in better_last:
        rank = values.index(row["value"]) / max(1, len(values) - 1)
        goodness = 1 - rank if report["direction"] == "minimize" else rank
        heights = [scale(row["values"].get(key)) for key, scale in zip(keys, scales, strict=True)]
        axes.plot(range(len(keys)), heights, "o-", ms=3, lw=1, color=mpl.colormaps["viridis"](goodness), alpha=0.8)
    for x, key in enumerate(keys):
        tried = {str(row["values"].get(key)): row["values"].get(key) for row in done}
        shown = sorted(tried.values(), key=lambda value, scale=scales[x]: scale(value))
        for value in shown if len(shown) <= 6 else (shown[0], shown[-1]):
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            axes.annotate(text, (x, scales[x](value)), xytext=(4, 2), textcoords="offset points", fontsize=7)
    axes.set_xticks(range(len(keys)), keys)
    axes.set_xlim(-0.2, len(keys) - 0.6)
    axes.set_yticks([])
    axes.set(ylabel="dark is worse, bright is better")


def curves(axes: Axes, report: dict[str, Any]) -> None:
    """The validation loss of each trial over its steps; a pruned one ends in a cross."""
    chosen = report["best"]["number"] if report["best"] else None
    labelled = set()
    for row in (row for row in report["trials"] if row["curve"]):
        steps, losses = [int(step) for step in row["curve"]], [*row["curve"].values()]
        best = row["number"] == chosen
        kind = "best" if best else row["state"]
        colour = _BEST if best else COLOURS.get(row["state"], "#8c8c8c")
        label = None if kind in labelled else kind
        labelled.add(kind)
        axes.plot(
            steps,
            losses,
            "-",
            lw=1.8 if best else 1,
            color=colour,
            alpha=1 if best else 0.6,
            label=label,
            zorder=2 + best,
        )
        axes.plot(steps[-1:], losses[-1:], "x" if row["state"] == "pruned" else "o", ms=5, color=colour)
    axes.set(xlabel="step", ylabel="validation loss, nats a supervised token")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)


def _scale(values: list[Any]) -> Callable[[Any], float]:
    """Heights from 0 to 1: in proportion for numbers (of their logarithm over a wide range), else in order."""
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        low, high = min(present), max(present)
        transform = (lambda v: v) if low <= 0 or high / low < 20 else math.log
        span = (transform(high) - transform(low)) or 1.0
        return lambda value: -0.08 if value is None else (transform(value) - transform(low)) / span
    order = sorted({str(value) for value in present})
    return lambda value: -0.08 if value is None else order.index(str(value)) / max(1, len(order) - 1)


def _foot(axes: Axes) -> Any:
    """Along x in data, along y in shares of the axes."""
    return axes.get_xaxis_transform()
