"""Writes the report of a run: report.md with its loss curve, report.json for scripts, a page in the UI."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config import Run
from pipelines.report.artifacts import publish_page
from pipelines.report.figure import change
from pipelines.report.markdown import code, prose, table
from pipelines.report.picture import data_uri, svg
from pipelines.report.tokens_page import PAGE
from tasks.artifact import write_json, write_text
from tasks.data import TokenCache
from tasks.device.blas import device
from tasks.evaluate import Scores
from tasks.plan import Plan
from tasks.sink.jsonl import read_metrics
from tasks.train import Trained
from tasks.verify import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 400
"""The most points of a curve: an SVG with each of 100,000 steps would be megabytes."""


def write_report(
    run: Run,
    folder: Path,
    seconds: float,
    cache: TokenCache,
    plan: Plan,
    trained: Trained,
    scores: Scores,
    verdict: Verdict,
) -> dict[str, Any]:
    """Writes loss.svg, report.md and report.json into the run directory; gives report.json's content."""
    rows = cache.splits["train"]
    report = {
        "name": run.name,
        "status": "verified" if verdict.passed else "failed",
        "seconds": round(seconds, 1),
        "run_dir": str(folder),
        "device": device(),
        "data": {
            "examples": rows.examples,
            "dropped": sum(remark.count for remark in rows.dropped.values()),
            "tokens": rows.tokens,
            "supervised_tokens": rows.supervised_tokens,
            "padding_share": plan.padding_share,
            "notes": {text: remark.count for text, remark in rows.notes.items()},
            "unread": {name: remark.count for name, remark in rows.unread.items()},
        },
        "adapter": {
            **trained.adapter.model_dump(mode="json"),
            "path": "adapter",
            "answer_ends": list(rows.ends),
            "stop_at": list(plan.stop_at),
        },
        "train": trained.model_dump(mode="json", exclude={"adapter"}),
        "evaluate": scores.model_dump(mode="json"),
        "verify": verdict.model_dump(mode="json"),
    }
    write_text(folder / "loss.svg", loss_curve(read_metrics(folder / "metrics.jsonl")))
    links = f"![loss](loss.svg)\n\n[What was trained on, token by token]({PAGE}); [the plan](plan.json)."
    write_text(folder / "report.md", markdown(report, links))
    write_json(folder / "report.json", report)
    return report


def publish(report: dict[str, Any]) -> None:
    """Puts the report into the Prefect UI: a page with the curve, and a table of figures."""
    curve = (Path(report["run_dir"]) / "loss.svg").read_bytes()
    page = markdown(report, f"![loss]({data_uri(curve)})")
    publish_page("report", page, headline(report), figures(report))


def headline(report: dict[str, Any]) -> str:
    """The run in one line.

    Example:
        >>> headline({"name": "a", "status": "verified", "evaluate": {"loss_before": 2.0, "loss_after": 1.0,
        ...     "metric": "exact_match", "metric_before": None, "metric_after": None}})
        'a: verified, held-out loss 2.000 -> 1.000'
    """
    scores = report["evaluate"]
    line = f"{report['name']}: {report['status']}"
    if scores["loss_after"] is None and not scores.get("problems"):
        return f"{line}, not evaluated"
    line += f", held-out loss {change(scores['loss_before'], scores['loss_after'], '.3f')}"
    if scores["metric_after"] is not None:
        line += f", {scores['metric'].replace('_', ' ')} {scores['metric_before']:.1%} -> {scores['metric_after']:.1%}"
    return line


def figures(report: dict[str, Any]) -> list[dict[str, str]]:
    """The figures worth a table, a row each."""
    data, adapter, train = report["data"], report["adapter"], report["train"]
    rows = {
        "examples": f"{data['examples']:,} ({data['dropped']:,} dropped)",
        "tokens": f"{data['tokens']:,}, {data['supervised_tokens']:,} of them supervised",
        **({"not read": _counted(data["unread"])} if data["unread"] else {}),
        **({"notes": _counted(data["notes"])} if data["notes"] else {}),
        "padding": f"{data['padding_share']:.1%}",
        "adapter": f"rank {adapter['rank']} on {adapter['modules']} projections, {adapter['parameters']:,} parameters",
        "steps": _steps(train),
        **({"adapter of": f"step {adapter['step']:,}"} if adapter["step"] != train["steps"] else {}),
        **_validation(train),
        "training loss": f"{train['loss_first']:.4f} -> {train['loss_last']:.4f}",
        "speed": f"{train['tokens_per_second']:,.0f} real tokens/s over {train['seconds']:.1f} s",
        "peak memory": f"{train['peak_memory_bytes'] / 1e9:.3f} GB",
        **({"answers end with": _ends(adapter)} if adapter.get("answer_ends") else {}),
        "sha256": adapter["sha256"],
        "device": report["device"],
        "whole run": f"{report['seconds']:.1f} s",
    }
    return [{"what": what, "value": value} for what, value in rows.items()]


def _counted(rows: dict[str, int]) -> str:
    return ", ".join(f"{what} ({count:,} row{'s' * (count != 1)})" for what, count in rows.items())


def _ends(adapter: dict[str, Any]) -> str:
    must = set(adapter["stop_at"])
    said = ", ".join(repr(end) for end in adapter["answer_ends"])
    return f"{said}; a server must be given {', '.join(map(repr, sorted(must)))} to stop at" if must else said


def _steps(train: dict[str, Any]) -> str:
    early = "ended early, train.patience ran out" if train["ended"] == "patience" else ""
    resumed = f"from step {train['resumed_from']:,}" if train["resumed_from"] else ""
    odd = {"skipped": "skipped", "restores": "gone back from", "spikes": "spikes"}
    counts = [f"{train[key]} {said}" for key, said in odd.items() if train[key]]
    return ", ".join(part for part in (f"{train['steps']:,}", resumed, early, *counts) if part)


def _validation(train: dict[str, Any]) -> dict[str, str]:
    if train["valid_loss"] is None:
        return {}
    best = f"{train['best_loss']:.4f} at step {train['best_step']:,}"
    return {"validation loss": f"{train['valid_loss']:.4f} at the end, lowest {best}"}


def markdown(report: dict[str, Any], picture: str) -> str:
    """report.md; `picture` is the Markdown of the loss curve."""
    rows = ((row["what"], prose(row["value"])) for row in figures(report))
    parts = [
        f"# {report['name']}\n\n{headline(report)}\n\n{code(report['run_dir'])}\n\n{picture}\n",
        f"## Figures\n\n{table(('', ''), rows)}",
        f"## Verdict: {report['status']}\n\n{checks(report['verify'])}",
    ]
    if problems := report["evaluate"].get("problems"):
        parts.append("## Not measured\n\n" + "".join(f"- {code(line)}\n" for line in problems))
    if report["evaluate"]["samples"]:
        parts.append(f"## Held-out answers\n\n{answers(report['evaluate'])}")
    return "\n".join(parts)


def checks(verdict: dict[str, Any]) -> str:
    """A table of a verdict's checks, in Markdown."""
    results = ((c["name"], "passed" if c["passed"] else "**failed**", code(c["detail"])) for c in verdict["checks"])
    return table(("check", "", "what it saw"), results)


def answers(scores: dict[str, Any]) -> str:
    """A table of the first held-out answers, in Markdown."""
    texts = ((s["prompt"][-200:], s["reference"], s["before"], s["after"]) for s in scores["samples"])
    shown = table(("prompt", "reference", "base", "adapter"), ([code(text) for text in row] for row in texts))
    return f"The first of {scores['answered']} from the {scores['split']} rows.\n\n{shown}"


def loss_curve(metrics: list[dict[str, Any]]) -> str:
    """The training and validation loss over the steps, as an SVG."""
    from matplotlib.ticker import MaxNLocator

    shown = metrics[:: max(1, len(metrics) // POINTS)]

    def draw(axes: "Axes") -> None:
        axes.plot([m["step"] for m in shown], [m["loss"] for m in shown], lw=1.2, color="#4c72b0", label="training")
        if valid := [(m["step"], m["valid_loss"]) for m in metrics if "valid_loss" in m]:
            steps, losses = zip(*valid, strict=True)
            axes.plot(steps, losses, "o-", ms=3, lw=1, color="#dd8452", label="validation")
        axes.set(xlabel="step", ylabel="loss, nats a supervised token")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, loc="upper right")

    return svg(draw, height=3.0, box=(0.1, 0.15, 0.88, 0.82))
