"""The shipped sweeps decode, and the records refuse what makes no sense."""

from pathlib import Path

import pytest

from pipelines.config import CONF
from pipelines.search.config import Float
from pipelines.search.search import compose_search

SWEEPS = sorted(path.stem for path in (CONF / "sweep").glob("*.yaml"))


@pytest.mark.parametrize("name", SWEEPS)
def test_each_shipped_sweep_composes(name: str) -> None:
    search = compose_search([f"+sweep={name}", "+experiment=quickstart"])
    assert search.folder == Path(search.folder)
    assert name in search.sweep.study


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"low": 0.0, "log": True}, "log over 0.0 to 1.0 goes through zero"),
        ({"low": 2.0}, "low=2.0 is not below high=1.0"),
        ({"low": 0.1, "log": True, "step": 0.1}, "exclude each other"),
    ],
)
def test_a_range_makes_sense(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Float.model_validate({"kind": "float", "high": 1.0, **changes})
