"""A command's own server: it answers with a password, and goes when the command goes, however that ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.orchestrate import private_server

ROOT = Path(__file__).resolve().parents[3]
COMMAND = """
import os, sys, time
from pipelines.orchestrate import private_server
private_server.begin(False)
assert private_server._started is None
private_server.begin(True)
private_server.begin(True)
private_server.wait()
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    client.read_flow_runs(limit=1)
assert "prefect.server" not in sys.modules
import httpx
assert httpx.post(os.environ["PREFECT_API_URL"] + "/flow_runs/filter", json={}).status_code == 401
print(private_server._started.pid, os.environ["PREFECT_API_URL"], flush=True)
time.sleep(600)
"""


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text()


@pytest.mark.flow
def test_it_asks_for_a_password_and_dies_with_a_killed_command() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        said = command.stdout.readline().split()
        command.send_signal(signal.SIGKILL)
        assert command.stderr.read().count("no Prefect server is configured") == 1
    pid, url = int(said[0]), said[1]
    until = time.monotonic() + 60
    while not _gone(pid):
        assert time.monotonic() < until, f"the server of {url} outlived its command"
        time.sleep(0.1)


@pytest.mark.flow
def test_a_home_that_takes_nothing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "prefect.db").mkdir()  # where the database would be
    code = "from pipelines.orchestrate import private_server as s; s.begin(True); s.wait()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, "PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "sqlite3.OperationalError" in done.stderr.splitlines()[-1]
    assert f"it writes to PREFECT_HOME={tmp_path}: make room or mend it there" in done.stderr.splitlines()[-1]
    assert sum(not line.startswith((" ", "Traceback")) for line in done.stderr.splitlines()) == 2


def test_where_a_server_is_configured_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("it started one"))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        private_server.begin(True)
        private_server.wait()
    assert private_server._started is None
