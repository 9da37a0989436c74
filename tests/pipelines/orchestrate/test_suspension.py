"""A run suspended in the UI stops after its step with a checkpoint, keeps its state, and goes on when run again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pipelines.orchestrate import suspension
from pipelines.orchestrate.suspension import stopping_when_suspended
from tasks.errors import Interrupted


def test_without_a_flow_run_nothing_is_asked() -> None:
    with pytest.raises(Interrupted), stopping_when_suspended():
        raise Interrupted("after step 3", 2)


@pytest.mark.flow
@pytest.mark.filterwarnings("default")  # Prefect's server and its SQL driver warn in their own threads
def test_suspend_stops_and_running_again_goes_on(
    quick: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None
) -> None:
    import time

    from prefect.client.orchestration import get_client
    from prefect.exceptions import Pause
    from prefect.runtime import flow_run
    from prefect.states import Suspended

    from pipelines.finetune import finetune
    from tasks.sink import Jsonl

    write, suspended = Jsonl.write, list[UUID]()
    monkeypatch.setattr(suspension, "EVERY", 0.05)

    def suspend_at_2(sink: Jsonl, metrics: Any) -> None:
        write(sink, metrics)
        if metrics.step == 2 and not suspended:
            suspended.append(UUID(flow_run.id))
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(flow_run.id, Suspended(), force=True)
            time.sleep(2)  # the watcher asks meanwhile

    monkeypatch.setattr(Jsonl, "write", suspend_at_2)
    overrides = [o for o in quick("train.steps=4") if not o.startswith("+")]
    with pytest.raises(Pause):
        finetune(experiment="quickstart", overrides=overrides)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*")] == ["step-000002"]
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(suspended[0]).state
    assert state is not None
    assert state.is_paused()
    assert finetune(experiment="quickstart", overrides=overrides)["train"]["resumed_from"] == 2
