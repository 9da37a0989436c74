"""The builder's lock."""

import multiprocessing
import time
from pathlib import Path

from tasks.data.lock import only_builder


def _build(path: str, log: str) -> None:
    with only_builder(Path(path)), open(log, "a") as file:
        file.write("in ")
        file.flush()
        time.sleep(0.05)
        file.write("out ")


def test_one_at_a_time(tmp_path: Path):
    start = multiprocessing.get_context("spawn").Process
    builders = [start(target=_build, args=(str(tmp_path / "c"), str(tmp_path / "log"))) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert (tmp_path / "log").read_text() == "in out in out "


def test_what_a_killed_builder_left_goes(tmp_path: Path):
    (tmp_path / ".c.1.tmp").mkdir()
    with only_builder(tmp_path / "c"):
        assert not (tmp_path / ".c.1.tmp").exists()
