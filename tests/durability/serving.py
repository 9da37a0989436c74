"""A real Prefect server as a process of its own, to be killed."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.durability.killing import Killed


@dataclass
class Server:
    """A server that runs.

    Args:
        process: it.
        env: with which a command finds it.
    """

    process: "subprocess.Popen[bytes]"
    env: dict[str, str]

    @property
    def url(self) -> str:
        return self.env["PREFECT_API_URL"]

    def states(self) -> list[tuple[str, str]]:
        """The states of its flow runs: type and name."""
        found = httpx.post(f"{self.url}/flow_runs/filter", json={"sort": "EXPECTED_START_TIME_ASC"}, timeout=30).json()
        return [(run["state"]["type"], run["state"]["name"]) for run in found]


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Starts one with a database of its own on a free port; kills it if it still runs at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env = {**clean, "PREFECT_HOME": str(folder), "PREFECT_SERVER_API_PORT": str(port)}
    command = [sys.executable, "-m", "prefect", "server", "start"]
    with (folder / "said").open("ab") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=env)
    url = f"http://127.0.0.1:{port}/api"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{url}/health", timeout=2).raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None, (folder / "said").read_text()[-2000:]
                time.sleep(0.3)
        yield Server(process, {"PREFECT_API_URL": url, "PREFECT_HOME": str(folder), "DO_NOT_TRACK": "1"})
    finally:
        process.kill()
        process.wait()


@contextmanager
def started(run: Killed, run_dir: Path, env: dict[str, str], lines: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Starts a run under Prefect and waits until it has told of so many steps; kills it if it still runs at the end."""
    process = run.start(run_dir, env)
    try:
        while told(run_dir) < lines:
            assert process.poll() is None, said(run_dir)
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def told(run_dir: Path) -> int:
    """Steps in metrics.jsonl."""
    path = run_dir / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def said(run_dir: Path) -> str:
    """What the command printed so far."""
    return Path(f"{run_dir}.said").read_text()
