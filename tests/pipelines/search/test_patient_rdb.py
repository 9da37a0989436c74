"""A database that is away costs a study nothing: the same trials, the same values, the same curves."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import pipelines.search.trial as trial_module
import pipelines.search.work as module
from pipelines.search.storage import Storage
from pipelines.search.trials import trials
from pipelines.search.work import work
from pipelines.search.would_fit import Fits
from tests.pipelines.search.outages import each_question_fails_once, locked_now_and_then
from tests.pipelines.search.searching import search_in, stand_in, study_of

TOTAL = ("sweep.budget.trials=4", "sweep.sampler.startup=2", "sweep.pruner.startup=2")
Rows = list[dict[str, Any]]
Searched = Callable[[Path], Rows]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    """Searches in a folder; gives its trials, but for what a clock says of them."""
    stages = stand_in(lambda run, step: abs(run.optim.lr - 0.01) * 100 + 1 / step)

    def run(folder: Path) -> Rows:
        search = search_in(folder, *TOTAL)
        work(search, lambda stage: stage)
        rows = trials(search, study_of(search))
        return [{key: value for key, value in row.items() if key not in ("seconds", "where")} for row in rows]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path_factory.mktemp("gpu") / "lock"))
        patch.setattr(module, "conclude", lambda *_: {})
        patch.setattr(trial_module, "would_fit", lambda run: Fits(fits=True, peak_bytes=1, budget_bytes=2))
        patch.setattr(trial_module, "run_stages", stages)
        yield run


@pytest.fixture(scope="module")
def whole(searched: Searched, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The trials of an undisturbed search."""
    rows = searched(tmp_path_factory.mktemp("whole"))
    assert [row["number"] for row in rows] == [*range(4)]
    return rows


@pytest.mark.parametrize("answer_lost", [False, True])
def test_every_question_is_asked_again(
    answer_lost: bool, searched: Searched, whole: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(seconds / 100))
    with each_question_fails_once(answer_lost=answer_lost) as failed:
        assert searched(tmp_path / "disturbed") == whole
    assert len(failed) > 10


def test_a_locked_file_is_waited_for(
    searched: Searched, whole: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Storage", partial(Storage, busy=0.05))
    with locked_now_and_then(tmp_path / "locked/study.db", times=3, seconds=0.3) as held:
        assert searched(tmp_path / "locked") == whole
    assert held
