"""What abandoned builders left is removed, what another may still go on with is not."""

import os
import time
from pathlib import Path

from tasks.data.store.abandoned import remove_abandoned
from tasks.data.store.lock import only_builder


def test_old_ones_that_nobody_builds(tmp_path: Path):
    for name in ("old", "new", "busy"):
        (tmp_path / f".{name}.partial").mkdir()
        if name != "new":
            os.utime(tmp_path / f".{name}.partial", (0, time.time() - 30 * 24 * 3600))
    (tmp_path / ".old.lock").touch()
    with only_builder(tmp_path / "busy"):
        remove_abandoned(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".busy.lock", ".busy.partial", ".new.partial"]
    remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".new.partial"]
