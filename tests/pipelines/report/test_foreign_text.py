"""Every place where a person's text is shown shows it as text: pages as Markdown, tables and lines in a terminal."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

import pipelines.command.terminal
import pipelines.evaluate
import pipelines.verify
from pipelines.command.line import _say
from pipelines.command.terminal import say_report
from pipelines.report.run_report import markdown as run_page
from pipelines.search.study_report import markdown as study_page
from tasks.errors import GraftlineError, VerifyError
from tasks.evaluate import Sample, Scores
from tasks.verify import CheckResult, Verdict
from tests.pipelines.report.test_run_report import report  # noqa: F401 (a fixture)
from tests.pipelines.search.reports import report as study

HOSTILE = [
    "[/INST] [b]bold[/b]",
    "``<script>alert(1)</script>``",
    "`` <img src=x onerror=alert(1)> ``",
    "a`b``![p](http://h/t.png)``c [l](http://h)",
    "x\r\r# heading\r\n\r\n# heading",
    "\x1b[2J\x1b]0;title\x07\u202e\u2028|",
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


@pytest.mark.parametrize("text", HOSTILE)
def test_no_page_holds_html_a_picture_or_a_link_that_data_wrote(text: str, report: dict[str, Any]) -> None:  # noqa: F811
    pages = [run_report(report, text), study_report(text), pipelines.evaluate.markdown(Path(f"/{text}"), scores(text))]
    for page in pages:
        html = MarkdownIt("commonmark").enable("table").render(page)
        assert not [tag for tag in ("<script", "<img", "<a ", "onerror=alert(1)>") if tag in html], html
        assert "heading</h1>" not in html
        assert all(char.isprintable() or char == "\n" for char in html)


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
) -> None:
    given = lambda *_, **__: (Path("/x"), None)  # noqa: E731
    for module in (pipelines.evaluate, pipelines.verify):
        monkeypatch.setattr(module, "with_adapter", given)
    monkeypatch.setattr(pipelines.evaluate, "_score", lambda *_: scores(text))
    monkeypatch.setattr(pipelines.verify, "_check", lambda *_: verdict(text))

    def verify() -> None:
        with pytest.raises(VerifyError):
            pipelines.verify.main([])

    report["run_dir"] = text
    seen = [
        _shown(pipelines.evaluate, monkeypatch, lambda: pipelines.evaluate.main([])),
        _shown(pipelines.verify, monkeypatch, verify),
        _shown(pipelines.command.terminal, monkeypatch, lambda: say_report(report)),
    ]
    _say(GraftlineError(text))
    seen.append(capsys.readouterr().err)
    for shown in seen:
        assert all(char.isprintable() or char == "\n" for char in shown), repr(shown)
        assert text.partition("\r")[0].partition("\x1b")[0] in shown
