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
    environment = _recipe(home)
    url = environment["PREFECT_API_URL"].removesuffix("/api")
    commands = ["prefect", "server", "start"], ["pipelines.serve"]
    started = list[subprocess.Popen[bytes]]()
    try:
        for ready, command in zip(
            (lambda: _answers(url), lambda: _says(home / "1.log", "serving")), commands, strict=True
        ):
            with (home / f"{len(started)}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=log, stderr=log
                    )
                )
            _wait(ready, started[-1], home / f"{len(started) - 1}.log")
        yield url
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGINT)
        for process in started:
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


def _recipe(home: Path) -> dict[str, str]:
    """The environment that examples/server/server.env makes, on a free port."""
    (home / "secret").write_text(SECRET)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    plain |= {"GRAFTLINE_SERVER_SECRET": str(home / "secret"), "GRAFTLINE_GPU_LOCK": str(home / "gpu.lock")}
    script = f"set -a; . <(sed s/4200/{port}/ examples/server/server.env); env -0"
    told = subprocess.run(["bash", "-c", script], cwd=ROOT, env=plain, capture_output=True, check=True, text=True)
    made = dict(line.split("=", 1) for line in told.stdout.split("\0") if line)
    return {**made, "PREFECT_HOME": str(home)}


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/health").is_success
    except httpx.TransportError:
        return False


def _says(log: Path, word: str) -> bool:
    return word in log.read_text(encoding="utf-8")


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 180
    while not ready():
        assert process.poll() is None, f"it ended: {log.read_text(encoding='utf-8')}"
        assert time.monotonic() < until, f"it did not start: {log.read_text(encoding='utf-8')}"
        time.sleep(0.2)
