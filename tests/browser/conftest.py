"""A Prefect server with the settings of examples/server, pipelines.serve beside it, a browser that has logged in."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
SECRET = "graftline:only-for-this-test"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server in a home of its own, with finetune/local served to it."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    home = tmp_path_factory.mktemp("prefect")
    environment, prefect = start_server(home, recipe=True)
    serve: subprocess.Popen[bytes] | None = None
    try:
        log = home / "serve.log"
        serve = _start(["pipelines.serve"], environment, log, lambda: "serving" in log.read_text(encoding="utf-8"))
        yield environment["PREFECT_API_URL"].removesuffix("/api")
    finally:
        for process in filter(None, (serve, prefect)):
            process.send_signal(signal.SIGINT)
            process.wait(60)


@pytest.fixture
def page(server: str) -> Iterator[Page]:
    """A page of an installed Chromium, logged in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.set_default_timeout(60_000)
        page.goto(server)
        page.locator("input[type=password]").fill(SECRET)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Deployments").wait_for()
        yield page
        browser.close()


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
    return environment, _start(
        ["prefect", "server", "start"], environment, home / "server.log", lambda: _answers(health)
    )


def _start(
    module: list[str], environment: dict[str, str], log: Path, ready: Callable[[], bool]
) -> subprocess.Popen[bytes]:
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
