"""What a person does: fills the form, starts a run, watches it finish or cancels it, reads its report with the plot."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]
CHANGES = [
    *("train.steps=3", "optim.warmup=1", "train.eval_every=2", "verify=quick"),
    *("evaluate.generate=2", "evaluate.examples=8", "evaluate.max_new_tokens=8", "evaluate.samples=2"),
]


def _start(page: Page, server: str, changes: list[str], pictures: Path) -> None:
    """From the list of deployments through the form to the page of the run, once it is running."""
    page.goto(f"{server}/deployments")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="finetune", exact=True))
    row.get_by_role("link", name="local").click()
    page.get_by_role("listitem").filter(has_text="Description").click()
    expect(page.get_by_role("cell", name="lora.rank=16")).to_be_visible()
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    page.screenshot(path=pictures / "deployment.png")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()

    page.get_by_role("button", name="none", exact=True).press("ArrowDown")
    page.get_by_role("option", name="quickstart").click()
    adding = page.get_by_role("button", name="Add item")
    boxes = page.get_by_role("group").filter(has=adding).get_by_role("textbox")
    for place, change in enumerate(changes):
        adding.click()
        boxes.nth(place).fill(change)
    page.screenshot(path=pictures / "form.png")
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("link", name=f"quickstart {changes[0]}").first.click()
    page.wait_for_url("**/runs/flow-run/**")


def test_from_the_form_to_the_plot_of_the_report(page: Page, server: str, tmp_path: Path) -> None:
    _start(page, server, [*CHANGES, f"run_dir={tmp_path / 'run'}"], tmp_path)
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    page.screenshot(path=tmp_path / "run.png")
    page.get_by_role("listitem").filter(has_text="Artifacts").click()
    page.get_by_role("link", name="markdown report").click()
    plot = page.get_by_role("img", name="loss", exact=True)
    expect(plot).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("Verdict: verified"))).to_be_visible()
    page.screenshot(path=tmp_path / "report.png", full_page=True)
    size = plot.evaluate("image => [image.complete, image.naturalWidth, image.naturalHeight]")
    assert size[0], "the plot is not loaded"
    assert min(size[1:]) > 100, f"the plot is {size[1]} x {size[2]}"


def test_cancelling_saves_a_checkpoint(page: Page, server: str, tmp_path: Path) -> None:
    _start(page, server, ["train.steps=100000", "train.eval_every=null", f"run_dir={tmp_path / 'run'}"], tmp_path)
    metrics, until = tmp_path / "run/metrics.jsonl", time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size):
        assert time.monotonic() < until, "it did not begin to train"
        page.wait_for_timeout(100)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("Cancelled", exact=True).first).to_be_visible()
    page.screenshot(path=tmp_path / "cancelled.png")
    expect(page.get_by_text("Traceback")).to_have_count(0)
    saved = list((tmp_path / "run/checkpoints").glob("step-*/manifest.json"))
    assert saved, "no checkpoint was saved"
