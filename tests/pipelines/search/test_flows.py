"""A trial as a flow run: named by what it tries, ended under its state's name, errors let through."""

from uuid import UUID, uuid4

import optuna
import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.states import Running

from pipelines.search.flows import RUN, as_flow, title
from pipelines.search.study import Claimed
from pipelines.search.trial import Outcome
from tasks.errors import Interrupted


def test_a_title_is_short() -> None:
    assert title({"lora": "rslora", "optim.lr": 0.00123456}) == "lora=rslora optim.lr=0.00123"


@pytest.mark.flow
@pytest.mark.filterwarnings("default")
def test_the_server_sees_each_trial_and_how_it_ended(prefect_server: None) -> None:
    outcomes = [
        Outcome(state="complete", value=1.5),
        Outcome(state="pruned", detail="step 2 of 4"),
        Outcome(state="infeasible", detail="it does not fit"),
        Outcome(state="failed", detail="it broke"),
    ]
    study = optuna.create_study()
    for number, outcome in enumerate(outcomes):
        claimed = Claimed(study.ask(), resumed=False, claims=1)
        assert as_flow(claimed, {"lora.rank": number}, lambda outcome=outcome: outcome) == outcome
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

    claimed = Claimed(optuna.create_study().ask(), resumed=False, claims=1)
    with pytest.raises(Interrupted, match="after step 3") as caught:
        as_flow(claimed, {}, stopped)
    assert caught.value.signum == 15
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(claimed.trial.user_attrs[RUN])).state
    assert state is not None
    assert (state.type.value, state.message) == ("CANCELLED", "stopped after step 3")


@pytest.mark.flow
@pytest.mark.filterwarnings("default")
def test_who_goes_on_with_a_trial_marks_the_run_of_the_dead_worker(prefect_server: None) -> None:
    begun = list[str]()

    @task
    def stage() -> None:
        """Nothing."""

    @flow
    def left() -> None:
        begun.append(flow_run.id)
        stage()

    left()
    study = optuna.create_study()
    claimed = Claimed(study.ask(), resumed=True, claims=2)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(begun[0]), Running(), force=True)
        claimed.trial.set_user_attr(RUN, begun[0])
        as_flow(claimed, {}, lambda: Outcome(state="complete", value=1.0))
        earlier, now = (client.read_flow_run(UUID(run)).state for run in (begun[0], claimed.trial.user_attrs[RUN]))
    assert earlier is not None
    assert now is not None
    assert (earlier.type.value, now.type.value) == ("CRASHED", "COMPLETED")
    assert "another flow run of this name continues" in str(earlier.message)


@pytest.mark.flow
@pytest.mark.filterwarnings("default")
def test_a_run_of_another_server_is_let_be(prefect_server: None) -> None:
    claimed = Claimed(optuna.create_study().ask(), resumed=True, claims=2)
    claimed.trial.set_user_attr(RUN, str(uuid4()))
    assert as_flow(claimed, {}, lambda: Outcome(state="complete", value=1.0)).value == 1.0
