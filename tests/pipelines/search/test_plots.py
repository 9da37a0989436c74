"""The plots: what they show, and the same bytes each time."""

import xml.etree.ElementTree as ElementTree

from pipelines.search.plots import PLOTS, draw
from tests.pipelines.search.reports import report


def _texts(svg: str) -> set[str]:
    return {text.strip() for node in ElementTree.fromstring(svg).iter() if (text := node.text or "").strip()}


def test_each_shows_what_it_is_for() -> None:
    drawn = draw(report())
    assert [*drawn] == [*PLOTS]
    assert {"trial", "best so far", "pruned", "infeasible", "failed"} <= _texts(drawn["history.svg"])
    assert {"optim.lr", "lora"} <= _texts(drawn["importances.svg"])
    assert {"optim.lr", "lora", "lora.targets", "0.1"} <= _texts(drawn["parallel.svg"])
    assert {"best", "complete", "pruned"} <= _texts(drawn["curves.svg"])


def test_the_same_report_is_the_same_bytes() -> None:
    assert draw(report()) == draw(report())


def test_what_there_is_nothing_of_is_not_drawn() -> None:
    rows = [{**row, "value": None, "curve": {}} for row in report()["trials"]]
    assert draw({**report(), "trials": rows, "importances": {}, "best": None}) == {}


def test_one_trial_can_be_drawn() -> None:
    assert "parallel.svg" in draw({**report(), "trials": report()["trials"][:1], "importances": {}})
