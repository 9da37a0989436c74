"""The report: what a person reads holds the figures of report.json, whatever the answers contain."""

from typing import Any

import pytest

from pipelines.report.run_report import POINTS, figures, headline, loss_curve, markdown


@pytest.fixture
def report() -> dict[str, Any]:
    return {
        "name": "r",
        "status": "verified",
        "seconds": 1.0,
        "run_dir": "/somewhere",
        "device": "cpu",
        "data": {
            "examples": 10,
            "dropped": 1,
            "tokens": 100,
            "supervised_tokens": 40,
            "padding_share": 0.25,
            "notes": {"n": 2},
            "unread": {"context": 1},
        },
        "adapter": {"step": 2, "rank": 8, "modules": 2, "parameters": 64, "sha256": "ab" * 32},
        "train": {
            "steps": 3,
            "resumed_from": 2,
            "ended": "patience",
            "valid_loss": 1.5,
            "best_loss": 1.25,
            "best_step": 2,
            **{"skipped": 0, "restores": 1, "spikes": 4},
            "loss_first": 2.0,
            "loss_last": 1.0,
            "tokens_per_second": 5.0,
            "seconds": 20.0,
            "peak_memory_bytes": 10**9,
        },
        "evaluate": {
            "loss_before": 2.0,
            "loss_after": 1.0,
            "metric": "exact_match",
            "metric_before": 0.0,
            "metric_after": 0.5,
            "answered": 2,
            "split": "test",
            "samples": [{"prompt": "a|b`c\n<b>", "reference": "x", "before": "", "after": "y|z"}],
        },
        "verify": {"passed": False, "checks": [{"name": "files", "passed": False, "detail": "torn | file"}]},
    }


def test_answers_cannot_break_the_table(report: dict[str, Any]) -> None:
    page = markdown(report, "![loss](loss.svg)")
    row = next(line for line in page.splitlines() if "⏎" in line)
    assert row.replace("\\|", "").count("|") == 5
    assert "`` a\\|b`c ⏎ <b> ``" in row
    assert "(empty)" in row
    assert "**failed**" in page


def test_every_figure_is_in_the_page(report: dict[str, Any]) -> None:
    page = markdown(report, "")
    for row in figures(report):
        assert row["value"] in page
    assert "exact match 0.0% -> 50.0%" in page
    assert "| steps | 3, from step 2, ended early, train.patience ran out, 1 gone back from, 4 spikes |" in page
    assert "| adapter of | step 2 |" in page
    assert "| validation loss | 1.5000 at the end, lowest 1.2500 at step 2 |" in page


def test_what_did_not_happen_is_not_said(report: dict[str, Any]) -> None:
    report["train"] |= {"resumed_from": None, "ended": "steps", "restores": 0, "spikes": 0, "valid_loss": None}
    page = markdown(report, "")
    assert "| steps | 3 |" in page
    assert "validation loss" not in page


def test_the_curve_is_small_and_the_same_twice() -> None:
    metrics = [{"step": s, "loss": 5 / s} | ({"valid_loss": 1.0} if s % 5000 == 0 else {}) for s in range(1, 20001)]
    first = loss_curve(metrics)
    assert first == loss_curve(metrics)
    assert len(first) < 60_000
    assert "validation" in first
    assert "<svg" in first
    assert POINTS >= 100


def test_what_was_not_read_and_what_is_not_evaluated_is_said(report: dict[str, Any]) -> None:
    assert "| not read | context (1 row) |" in markdown(report, "")
    assert "| notes | n (2 rows) |" in markdown(report, "")
    report["evaluate"] |= {"loss_before": None, "loss_after": None, "metric_after": None, "samples": []}
    assert headline(report) == "r: verified, not evaluated"
