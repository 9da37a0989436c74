"""Every place where a person's text is shown shows it as text: pages as Markdown, tables and lines in a terminal."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

import pipelines.command.multirun
import pipelines.command.terminal
import pipelines.evaluate
import pipelines.report.show_plan as plan
import pipelines.verify
from pipelines.command.line import _say
from pipelines.command.multirun import Job, summarize
from pipelines.command.terminal import say_report
from pipelines.report.artifacts import publish_page
from pipelines.report.run_report import figures
from pipelines.report.run_report import markdown as run_page
from pipelines.search.study_report import markdown as study_page
from tasks.data.excerpt import Piece
from tasks.errors import GraftlineError, VerifyError
from tasks.evaluate import Sample, Scores
from tasks.plan import Plan
from tasks.verify import CheckResult, Verdict
from tests.pipelines.report.test_run_report import report  # noqa: F401 (a fixture)
from tests.pipelines.report.test_show_plan import agreed  # noqa: F401 (a fixture)
from tests.pipelines.report.test_tokens_page import Page, page
from tests.pipelines.search.reports import report as study

HOSTILE = [
    "[/INST] [b]bold[/b]",
    "``<script>alert(1)</script>``",
    "`` <img src=x onerror=alert(1)> ``",
    "a`b``![p](http://h/t.png)``c [l](http://h)",
    "x\r\r# heading\r\n\r\n# heading",
    "\x1b[2J\x1b]0;title\x07\u202e\u2028|",
    "<img src=http://h/t.png>[l](http://h) ![p](http://h/t.png)",
]


def scores(text: str) -> Scores:
    sample = Sample(prompt=text, reference=text, before=text, after=text)
    counts = {"split": "valid", "examples": 1, "loss_before": 2.0, "loss_after": 1.0, "metric": "exact_match"}
    rest = {"answered": 1, "metric_before": 0.0, "metric_after": 1.0, "samples": (sample,)}
    return Scores.model_validate({**counts, **rest})


def verdict(text: str) -> Verdict:
    return Verdict(passed=False, checks=(CheckResult(name="files", passed=False, detail=text),))


def run_report(found: dict[str, Any], text: str) -> str:
    sample = {"prompt": text, "reference": text, "before": text, "after": text}
    found["run_dir"], found["evaluate"]["samples"] = f"/x/{text}/y", [sample]
    found["verify"]["checks"][0]["detail"] = text
    found["data"] |= {"notes": {text: 1}, "unread": {text: 2}}
    found["adapter"] |= {"answer_ends": [text], "stop_at": [text]}
    return run_page(found, "")


def study_report(text: str) -> str:
    found = study()
    trials = [{**row, "detail": text, "values": {**row["values"], "model.path": text}} for row in found["trials"]]
    best = {**found["best"], "command": text, "adapter": text}
    return study_page({**found, "folder": text, "trials": trials, "best": best}, {})


def verify_page(text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page that the flow `verify` publishes of an adapter that does not pass."""
    pages: list[str] = []
    monkeypatch.setattr(pipelines.verify, "with_form", lambda *_: (Path(f"/{text}"), None))
    monkeypatch.setattr(pipelines.verify, "_check", lambda *_: verdict(text))
    monkeypatch.setattr(pipelines.verify, "quiet_user_errors", lambda: None)
    monkeypatch.setattr(pipelines.verify, "publish_page", lambda _, page, __: pages.append(page))
    with pytest.raises(VerifyError):
        pipelines.verify.verify.fn(f"/{text}")
    return pages[0]


def multirun(text: str, folder: Path) -> list[Job]:
    """Two jobs that differ by a value with the text in it."""
    return [
        Job([f"model.path={value}", f"run_dir={folder / 'no'}"], folder / str(n)) for n, value in enumerate((text, "x"))
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_page_holds_html_a_picture_or_a_link_that_data_wrote(
    text: str,
    report: dict[str, Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    summarize(multirun(text, tmp_path))
    pages = [
        run_report(report, text),
        study_report(text),
        pipelines.evaluate.markdown(Path(f"/{text}"), scores(text)),
        verify_page(text, monkeypatch),
        (tmp_path / "summary.md").read_text(encoding="utf-8"),
    ]
    for written in pages:
        html = MarkdownIt("commonmark").enable("table").render(written)
        assert not [tag for tag in ("<script", "<img", "<a ", "onerror=alert(1)>") if tag in html], html
        assert "heading</h1>" not in html
        assert all(char.isprintable() or char == "\n" for char in html)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_artifact_s_table_holds_a_link_that_data_wrote(
    text: str,
    report: dict[str, Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[dict[str, Any]] = []
    for kind in ("markdown", "table"):
        monkeypatch.setattr(f"prefect.artifacts.create_{kind}_artifact", lambda **fields: sent.append(fields))
    run_report(report, text)
    publish_page("report", "# page", "verified", figures(report))
    cells = [value for row in sent[1]["table"] for value in row.values()]
    assert any(cell.endswith(" (2 rows)") for cell in cells), cells
    for cell in cells:
        assert cell.isprintable()
        assert not [mark for mark in ("](", "<") if mark in cell], cell


@pytest.mark.parametrize("text", HOSTILE)
def test_no_token_of_the_page_is_html(text: str) -> None:
    written = page(Piece(text, (1,), 1.0, "user", False), title=text)
    assert not {"script", "img", "link", "a", "iframe"} & set(Page(written).tags)
    assert all(char.isprintable() or char == "\n" for char in written)


def _shown(module: Any, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> str:
    written = io.StringIO()
    make = lambda *_, **__: Console(file=written, force_terminal=True, color_system=None, width=200)  # noqa: E731
    monkeypatch.setattr(module, "Console", make)
    act()
    return written.getvalue()


@pytest.mark.parametrize("text", HOSTILE)
def test_no_table_or_line_in_a_terminal_is_read_or_acts(
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    report: dict[str, Any],  # noqa: F811
    agreed: Plan,  # noqa: F811
    tmp_path: Path,
) -> None:
    given = lambda *_, **__: (Path("/x"), None)  # noqa: E731
    for module in (pipelines.evaluate, pipelines.verify):
        monkeypatch.setattr(module, "with_adapter", given)
    monkeypatch.setattr(pipelines.evaluate, "_score", lambda *_: scores(text))
    monkeypatch.setattr(pipelines.verify, "_check", lambda *_: verdict(text))

    def verify() -> None:
        with pytest.raises(VerifyError):
            pipelines.verify.main([])

    named = agreed.model_copy(update={"model_type": text, "notes": (text,)})
    report["run_dir"] = text
    seen = [
        _shown(pipelines.evaluate, monkeypatch, lambda: pipelines.evaluate.main([])),
        _shown(pipelines.verify, monkeypatch, verify),
        _shown(pipelines.command.terminal, monkeypatch, lambda: say_report(report)),
        _shown(pipelines.command.multirun, monkeypatch, lambda: summarize(multirun(text, tmp_path))),
        _shown(plan, monkeypatch, lambda: plan.show_plan(named, plan.Console())),
    ]
    _say(GraftlineError(text))
    seen.append(capsys.readouterr().err)
    for shown in seen:
        assert all(char.isprintable() or char == "\n" for char in shown), repr(shown)
        assert text.partition("\r")[0].partition("\x1b")[0] in shown
