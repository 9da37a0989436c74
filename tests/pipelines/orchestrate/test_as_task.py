"""Stages as Prefect tasks: what stops one well is raised in the flow, and is no failure on its page."""

import time
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client

from pipelines.orchestrate.as_task import as_state, as_task, run_body
from pipelines.orchestrate.outcome import Outcome
from tasks.errors import Interrupted, Paused, Pruned, RunError

ENDS = [
    (Pruned("step 2 of 4"), ("COMPLETED", "Pruned")),
    (Interrupted("stopped after step 3", 15), ("CANCELLED", "Cancelled")),
    (Paused("window=22:00-06:00 has closed"), ("CANCELLED", "Paused")),
    (RunError("step 3: the loss is nan"), ("FAILED", "Failed")),
]


def test_states_say_why() -> None:
    state = as_state(Interrupted("stopped after step 3", 15))
    assert (state.type.value, state.name, state.message) == ("CANCELLED", "Cancelled", "stopped after step 3")


def test_what_ended_a_flow_is_kept_and_a_stop_is_a_state() -> None:
    seen: list[Outcome] = []

    def ended_by(error: Exception | None) -> Any:
        def body(outcome: Outcome) -> str:
            seen.append(outcome)
            if error is not None:
                raise error
            return "report"

        return run_body(body)

    assert ended_by(None) == "report"
    stopped = Interrupted("stopped after step 3", 15)
    assert ended_by(stopped).type.value == "CANCELLED"
    mistake = RunError("step 3: the loss is nan")
    with pytest.raises(RunError, match="the loss is nan"):
        ended_by(mistake)
    assert [outcome.error for outcome in seen] == [None, stopped, mistake]


@pytest.mark.flow
@pytest.mark.filterwarnings("default")
def test_the_server_sees_how_a_stage_ended_and_the_flow_what_it_raised(prefect_server: None) -> None:
    @task(task_run_name="stage {number}")
    def stage(number: int) -> int:
        if number < len(ENDS):
            raise ENDS[number][0]
        return number

    @flow
    def stages() -> int:
        for number, (error, _) in enumerate(ENDS):
            with pytest.raises(type(error)) as caught:
                as_task(stage)(number)
            assert caught.value is error
        return as_task(stage)(len(ENDS))

    assert stages() == len(ENDS)
    with get_client(sync_client=True) as client:
        runs: dict[str, Any] = {}
        for _ in range(100):  # the server writes the states of tasks down a little later
            runs = {run.name: run.state for run in client.read_task_runs() if run.state and run.state.is_final()}
            if len(runs) > len(ENDS):
                break
            time.sleep(0.2)
    states = [runs[f"stage {number}"] for number in range(len(ENDS) + 1)]
    found = [(state.type.value, state.name) for state in states if state is not None]
    assert found == [*(end for _, end in ENDS), ("COMPLETED", "Completed")]
