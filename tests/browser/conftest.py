"""A Prefect server with the settings of examples/server, pipelines.serve beside it, a browser that has logged in."""

import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.serving import SECRET, start, start_server

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)


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
        serve = start(["pipelines.serve"], environment, log, lambda: "serving" in log.read_text(encoding="utf-8"))
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
        page.set_default_timeout(150_000)  # a loaded machine is no error
        expect.set_options(timeout=150_000)
        page.goto(server)
        page.locator("input[type=password]").fill(SECRET)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Deployments").wait_for()
        yield page
        browser.close()
