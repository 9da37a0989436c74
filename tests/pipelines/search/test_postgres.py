"""A study in PostgreSQL, shared by workers whose folders are apart as on two machines; the server goes and comes."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.search.trials import trials
from tests.pipelines.search.searching import search_in, study_of
from tests.pipelines.search.test_work import _ended_well, _kill_after, _worker

pytestmark = pytest.mark.flow
AS = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []


class Server:
    """A PostgreSQL of the test's own."""

    def __init__(self, folder: Path, port: int):
        self._folder, self._port = folder, port
        self.url = f"postgresql://me:secret@127.0.0.1:{port}/postgres"
        self._run("initdb", "-U", "me", "--auth=trust")

    def start(self) -> None:
        options = f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "-w", "-o", options, "-l", f"{self._folder}/log", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def _run(self, command: str, *arguments: str) -> None:
        subprocess.run(
            [*AS, command, "-D", f"{self._folder}/data", *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/tmp"
        )


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg")
    if not shutil.which("initdb") or not shutil.which("pg_ctl"):
        pytest.skip("no PostgreSQL is installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="graftline-pg-"))
    if AS:
        shutil.chown(folder, "nobody", "nogroup")
    made = Server(folder, port)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


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
