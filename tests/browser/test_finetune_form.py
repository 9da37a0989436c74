"""What a person does: fills the form, starts a run, watches it finish, and reads its report with the loss curve."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]
CHANGES = [
    *("train.steps=3", "optim.warmup=1", "train.eval_every=2", "verify=quick"),
    *("evaluate.generate=2", "evaluate.examples=8", "evaluate.max_new_tokens=8", "evaluate.samples=2"),
]


def test_from_the_form_to_the_plot_of_the_report(page: Page, server: str, tmp_path: Path) -> None:
    page.goto(f"{server}/deployments")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="finetune", exact=True))
    row.get_by_role("link", name="local").click()
    page.get_by_role("listitem").filter(has_text="Description").click()
    expect(page.get_by_role("cell", name="lora.rank=16")).to_be_visible()
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    page.screenshot(path=tmp_path / "deployment.png")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()

    page.get_by_role("button", name="none", exact=True).press("ArrowDown")
    page.get_by_role("option", name="quickstart").click()
    adding = page.get_by_role("button", name="Add item")
    boxes = page.get_by_role("group").filter(has=adding).get_by_role("textbox")
    for place, change in enumerate([*CHANGES, f"run_dir={tmp_path / 'run'}"]):
        adding.click()
        boxes.nth(place).fill(change)
    page.screenshot(path=tmp_path / "form.png")
    page.get_by_role("button", name="Submit").click()

    page.get_by_role("link", name="quickstart train.steps=3").first.click()
    page.wait_for_url("**/runs/flow-run/**")
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible(timeout=120_000)
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
