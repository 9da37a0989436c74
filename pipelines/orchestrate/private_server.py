"""Starts a Prefect server of the command's own, where none is configured, while the command is imported.

Prefect would start one itself, but only once it is asked for something, and after importing all of the server into the
command's own process as well.
"""

import atexit
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO
from urllib.error import URLError
from urllib.request import urlopen

from tasks.errors import RunError, one_line

_started: subprocess.Popen[bytes] | None = None
_said: IO[bytes] | None = None
"""What the server prints: tracebacks by the thousand, where its disk is full."""


def begin(orchestrate: bool) -> None:
    """Starts the server for a run that needs one, where no PREFECT_API_URL is configured; says so."""
    if not orchestrate or _started is not None:
        return
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():
        return
    print(
        "no Prefect server is configured, so a private one starts with this run (about 10 s); orchestrate=false does "
        "without",
        file=sys.stderr,
    )
    child = {
        "PREFECT__SERVER_EPHEMERAL": "1",  # no schedules, no page: only what a run's own record needs
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_UI_ENABLED": "0",
    }
    start(free_port(), f"graftline:{secrets.token_hex(16)}", child)


def free_port(wanted: int = 0) -> int:
    """The wanted port of this machine where it is free, or else any that is."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return probe.getsockname()[1]


def start(port: int, password: str, settings: dict[str, str]) -> None:
    """Starts a server that ends with this process, and makes it this process's own; `wait` waits for it.

    Args:
        port: on the loopback address.
        password: `user:password`, asked for by every route.
        settings: further ones of the server, as environment variables.
    """
    global _started, _said
    import prefect.context

    command = [sys.executable, "-m", "pipelines.orchestrate.private_server", str(port)]
    child = {**os.environ, **settings, "PREFECT_SERVER_API_AUTH_STRING": password}
    _said = _printed()
    _started = subprocess.Popen(
        command, env=child, stderr=_said or subprocess.DEVNULL, start_new_session=True
    )  # in a session of its own, since Ctrl-C is for the run
    atexit.register(_stop, _started)
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_API_AUTH_STRING"] = password
    prefect.context.refresh_global_settings_context()


def wait() -> None:
    """Waits until the server that `begin` started answers; returns at once where none was.

    Raises:
        RunError: it ended, or does not answer in time.
    """
    if _started is None:
        return
    from prefect.settings import PREFECT_HOME, PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS

    seconds = PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
    until = time.monotonic() + seconds
    while not _answers(f"{os.environ['PREFECT_API_URL']}/health"):
        if _started.poll() is not None:
            raise RunError(
                f"the private Prefect server ended with {_started.returncode}{_reason()}; it writes to "
                f"PREFECT_HOME={PREFECT_HOME.value()}: make room or mend it there, or give orchestrate=false"
            )
        if time.monotonic() > until:
            raise RunError(f"the private Prefect server does not answer after {seconds} s; say orchestrate=false")
        time.sleep(0.05)


def _printed() -> IO[bytes] | None:
    """A file without a name for what the server prints; None on a disk that takes none."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return None


def _reason() -> str:
    """The last error among what the server printed, in words that go behind its exit code."""
    if _said is None:
        return ""
    _said.seek(0)
    lines = _said.read().decode(errors="replace").splitlines()
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b.*: ", line)]
    return f" ({one_line(errors[-1])})" if errors else ""


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except (URLError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    import uvicorn

    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app", factory=True, port=int(sys.argv[1]), log_level="error", lifespan="on"
    )
