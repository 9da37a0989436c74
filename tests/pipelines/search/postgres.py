"""A PostgreSQL with a folder and a port of its own, to be stopped and started."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AS = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []


class Server:
    """A PostgreSQL: `url` is where it answers once it has been started."""

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


def installed() -> bool:
    """Whether PostgreSQL's programs are on PATH."""
    return bool(shutil.which("initdb") and shutil.which("pg_ctl"))


@contextmanager
def postgres() -> Iterator[Server]:
    """Makes one and starts it; removes it at the end."""
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
