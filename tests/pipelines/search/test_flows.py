"""A trial as a flow run: named by what it tries, ended under its state's name, errors let through."""

import pytest

from pipelines.search.flows import as_flow, title
from pipelines.search.trial import Outcome
from tasks.errors import Interrupted


def test_a_title_is_short() -> None:
    assert title({"lora": "rslora", "optim.lr": 0.00123456}) == "lora=rslora optim.lr=0.00123"


@pytest.mark.flow
@pytest.mark.filterwarnings("default")
def test_the_server_sees_each_trial_and_how_it_ended(prefect_server: None) -> None:
    from prefect.client.orchestration import get_client

    outcomes = [
        Outcome(state="complete", value=1.5),
        Outcome(state="pruned", detail="step 2 of 4"),
        Outcome(state="infeasible", detail="it does not fit"),
        Outcome(state="failed", detail="it broke"),
    ]
    for number, outcome in enumerate(outcomes):
        assert as_flow(number, {"lora.rank": number}, lambda outcome=outcome: outcome) == outcome
    with get_client(sync_client=True) as client:
        runs = {run.name: run for run in client.read_flow_runs()}
    states = [runs[f"trial {number}: lora.rank={number}"].state for number in range(4)]
    assert [state.name for state in states if state] == ["Completed", "Pruned", "Infeasible", "Failed"]
    assert [state.message for state in states if state][1:] == ["step 2 of 4", "it does not fit", "it broke"]


@pytest.mark.flow
@pytest.mark.filterwarnings("default")
def test_what_ends_the_worker_gets_through(prefect_server: None) -> None:
    def stopped() -> Outcome:
        raise Interrupted("stopped after step 3", 15)

    with pytest.raises(Interrupted, match="after step 3") as caught:
        as_flow(0, {}, stopped)
    assert caught.value.signum == 15
