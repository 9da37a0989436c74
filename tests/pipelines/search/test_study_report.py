"""report.md of a search."""

from pipelines.search.plots import PLOTS
from pipelines.search.study_report import headline, markdown
from tests.pipelines.search.reports import report


def test_the_page_has_the_best_the_plots_and_every_trial() -> None:
    page = markdown(report(), {name: name for name in PLOTS})
    assert "python -m pipelines.finetune optim.lr=0.1" in page
    assert "` /s/best/adapter `, sha256 ` ab `" in page
    assert all(f"]({name})" in page for name in PLOTS)
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 6
    assert rows[0] == "| trial | state | evaluate.loss_after | lora | optim.lr | lora.targets | seconds |  |"
    assert rows[2] == "| **1** | complete | 1 | lora | 0.1 | ['q_proj'] | 1.0 |  |"
    assert rows[3].endswith("| a \\| b c |")


def test_a_best_on_another_machine_is_said_to_be_there() -> None:
    found = report()
    there = {**found["best"], "adapter": None, "where": "mac2:/runs/0003"}
    assert "copies it to its own best/: ` mac2:/runs/0003 `" in markdown({**found, "best": there}, {})


def test_plots_that_are_not_there_are_left_out() -> None:
    assert "![" not in markdown(report(), {})


def test_a_search_without_a_best_says_so() -> None:
    assert headline({**report(), "best": None}).endswith("none to choose from")
    assert "The best adapter" not in markdown({**report(), "best": None}, {})
