"""Output to a reader that has left is discarded; the command comes to its own end and exit status."""

import os
import subprocess
import sys

import pytest

TALK = """
import sys
from pipelines.command.output import survive_closed_pipes
survive_closed_pipes()
for n in range(20_000):
    print("a line", n, file=sys.{stream})
sys.exit(3)
"""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_leaves_changes_nothing(stream: str) -> None:
    read, write = os.pipe()
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: write}
    with subprocess.Popen([sys.executable, "-c", TALK.format(stream=stream)], text=True, **streams) as talker:  # pyright: ignore[reportCallIssue, reportArgumentType]
        os.close(write)
        assert os.read(read, 6) == b"a line"
        os.close(read)
        said = talker.communicate(timeout=60)
    assert talker.returncode == 3
    assert not any(said), "no traceback, on either stream"


def test_every_command_is_of_that_kind() -> None:
    read, write = os.pipe()
    os.close(read)
    code = [sys.executable, "-m", "pipelines.serve", "--help"]
    done = subprocess.run(code, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
