"""A study in PostgreSQL, shared by workers whose folders are apart as on two machines; the server goes and comes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.search.trials import trials
from tests.pipelines.search.postgres import Server, installed, postgres
from tests.pipelines.search.searching import search_in, study_of
from tests.pipelines.search.test_work import _ended_well, _kill_after, _worker

pytestmark = pytest.mark.flow


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg")
    if not installed():
        pytest.skip("no PostgreSQL is installed")
    with postgres() as made:
        yield made


def test_workers_on_two_machines_one_killed_and_the_server_restarted(server: Server, tmp_path: Path) -> None:
    total = (f"sweep.storage={server.url}", "sweep.budget.trials=8", "sweep.pruner=none", "sweep.grace=8")
    here, there = tmp_path / "here", tmp_path / "there"
    assert _kill_after(_worker(there, *total), there, 6)  # in a trial, which the other may take over after the grace
    worker, before = _worker(here, *total), (here / "progress")
    while not before.exists() and worker.poll() is None:
        pass
    server.stop()
    server.start()
    _ended_well(here, worker)
    search = search_in(here, *total)
    study = study_of(search)
    rows = trials(search, study)
    study.storage.rdb.engine.dispose()  # its connections are open as long as its pool is
    assert [(row["number"], row["state"]) for row in rows] == [(number, "complete") for number in range(8)]
    assert len({row["where"].rpartition(":")[2].split("/trials/")[0] for row in rows}) == 2
