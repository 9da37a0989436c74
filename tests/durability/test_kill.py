"""A run that is killed at any moment ends as one that never was: same adapter bytes, each step told once, no litter."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.durability.killing import Killed, outcome

KILLS = 20


@pytest.mark.flow
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    run = Killed(tmp_path)
    run.prepare()
    run.finish(tmp_path / "whole")
    whole = outcome(tmp_path / "whole")
    assert [line["step"] for line in whole["metrics"]] == list(range(1, run.steps + 1))
    assert not whole["litter"]

    def lane(n: int) -> None:
        own, chains = Killed(tmp_path, run.steps), 0
        while len(own.kills) < KILLS // 2:
            name = f"killed-{n}-{chains}"
            found = own.chain(name, min(5, KILLS // 2 - len(own.kills)), seed=1000 * n + chains)
            assert found == whole, (name, own.kills)
            chains += 1
        run.kills.extend(own.kills)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lane, range(2)))
    assert len(run.kills) >= KILLS
