"""A real Prefect server for tests and benchmarks: a process of its own, in a home of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]
SECRET = "graftline:only-for-this-test"


def start_server(home: Path, *, recipe: bool) -> tuple[dict[str, str], subprocess.Popen[bytes]]:
    """A server that answers, and the environment of those who use it.

    Args:
        home: of Prefect, and where it logs to.
        recipe: with the settings of examples/server, or with Prefect's own.
    """
    home.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(home), "GRAFTLINE_GPU_LOCK": str(home / "gpu.lock")}
    if recipe:
        (home / "secret").write_text(SECRET)
        script = "set -a; . examples/server/server.env; env -0"
        secret = {"GRAFTLINE_SERVER_SECRET": str(home / "secret"), "GRAFTLINE_PORT": str(port)}
        told = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environment | secret, capture_output=True, check=True
        )
        environment = dict(line.split("=", 1) for line in told.stdout.decode().split("\0") if line)
    else:
        environment |= {"PREFECT_SERVER_API_PORT": str(port), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    health = f"http://127.0.0.1:{port}/api/health"
    return environment, start(
        ["prefect", "server", "start"], environment, home / "server.log", lambda: _answers(health)
    )


def start(
    module: list[str], environment: dict[str, str], log: Path, ready: Callable[[], bool]
) -> subprocess.Popen[bytes]:
    """A module as a process that logs to a file, once it is ready."""
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, env=environment, stdout=out, stderr=out)
    until = time.monotonic() + 180
    while not ready():
        said = log.read_text(encoding="utf-8")
        assert process.poll() is None, f"it ended: {said}"
        assert time.monotonic() < until, f"it did not start: {said}"
        time.sleep(0.2)
    return process


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
