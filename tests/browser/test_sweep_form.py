"""A search by form: picked from drop-downs, watched, its pruned trials no failures, its report with the plots."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]
CHANGES = [
    *("train.steps=4", "optim.warmup=1", "train.eval_every=2", "verify=quick", "evaluate.generate=0"),
    *("evaluate.examples=8", "sweep.study=seen", "sweep.budget.trials=3", "sweep.pruner.startup=1"),
    "sweep.space.lora=null",  # the third of the rates is the worst
]


def test_a_search_from_the_form_to_its_report(page: Page, server: str, tmp_path: Path) -> None:
    page.goto(f"{server}/deployments")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="sweep", exact=True))
    row.get_by_role("link", name="local").click()
    page.get_by_role("listitem").filter(has_text="Description").click()
    expect(page.get_by_role("cell", name="sweep.budget.trials=20")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    page.locator(".schema-form-property-string button").first.press("ArrowDown")
    page.get_by_role("option", name="rate_and_rank").click()
    page.get_by_role("button", name="none", exact=True).press("ArrowDown")
    page.get_by_role("option", name="quickstart").click()
    adding = page.get_by_role("button", name="Add item")
    boxes = page.get_by_role("group").filter(has=adding).get_by_role("textbox")
    for place, change in enumerate([*CHANGES, f"sweep.folder={tmp_path / 'sweep'}"]):
        adding.click()
        boxes.nth(place).fill(change)
    page.screenshot(path=tmp_path / "form.png")
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("link", name=f"rate_and_rank quickstart {CHANGES[0]}").first.click()
    page.wait_for_url("**/runs/flow-run/**")
    run = page.url
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()

    page.get_by_role("listitem").filter(has_text="Subflow Runs").click()
    expect(page.get_by_text("Pruned", exact=True)).to_have_count(1)
    page.screenshot(path=tmp_path / "trials.png")
    page.get_by_role("link", name=re.compile("^trial 2: ")).first.click()
    expect(page.get_by_text("Finished in state Pruned('step 2 of 4")).to_have_count(2)  # of the training, of the trial
    expect(page.get_by_text("Failed")).to_have_count(0)
    page.screenshot(path=tmp_path / "pruned.png")

    page.goto(run)
    page.get_by_role("listitem").filter(has_text="Artifacts").click()
    page.get_by_role("link", name="markdown sweep").click()
    for name in ("Best so far", "What was tried", "How the trials learnt"):
        plot = page.get_by_role("img", name=name, exact=True)
        expect(plot).to_be_visible()
        size = plot.evaluate("image => [image.complete, image.naturalWidth, image.naturalHeight]")
        assert size[0], f"{name} is not loaded"
        assert min(size[1:]) > 100, f"{name} is {size[1]} x {size[2]}"
    expect(page.get_by_text("best/adapter").first).to_be_visible()
    page.screenshot(path=tmp_path / "report.png", full_page=True)
