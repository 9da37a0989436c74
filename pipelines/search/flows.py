"""Shows a search in the Prefect UI: each trial as a flow run named by its values, the report as a page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Cancelled, Completed, Crashed, Failed

from pipelines.orchestrate.as_task import as_state
from pipelines.report.artifacts import publish_page
from pipelines.report.picture import data_uri
from pipelines.search import space
from pipelines.search.lease import TakenOver
from pipelines.search.plots import PLOTS
from pipelines.search.study import Claimed
from pipelines.search.study_report import headline, markdown
from pipelines.search.trial import Outcome
from tasks.errors import GraftlineError, Interrupted

RUN = "flow_run"
"""The attribute of a trial that names its newest flow run."""


def as_flow(claimed: Claimed, values: space.Values, body: Callable[[], Outcome]) -> Outcome:
    """Runs a trial as a flow run of its own, whose final state is named after the outcome, such as Pruned."""
    optuna, number, outcomes, ended = claimed.trial, claimed.trial.number, list[Outcome](), list[GraftlineError]()

    @flow(name="trial", flow_run_name=f"trial {number}: {title(values)}"[:120], validate_parameters=False)
    def trial(number: int, values: dict[str, Any]) -> State[Any]:
        optuna.set_user_attr(RUN, flow_run.id)
        try:
            outcome = body()
        except Interrupted as stopped:
            ended.append(stopped)
            return as_state(stopped)
        except TakenOver as error:
            ended.append(error)
            return Cancelled(name="Taken over", message=str(error))
        outcomes.append(outcome)
        message = outcome.detail or f"{outcome.value:.6g}"
        if outcome.state == "failed":
            return Failed(message=message)
        return Completed(name=outcome.state.capitalize().replace("Complete", "Completed"), message=message)

    if (earlier := optuna.user_attrs.get(RUN)) is not None:
        bury(earlier)
    # The worker's own flow run beats; a beat of each trial would cost a second at its end.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        state = trial(number, values, return_state=True)
    if ended:
        raise ended[0]
    if not outcomes:
        state.result()  # raises what ended the trial
    return outcomes[0]


def bury(earlier: str) -> None:
    """Marks the flow run that a dead worker left running, and its tasks, as crashed; another server's is let be."""
    message = Crashed(message="Its worker died; another flow run of this name continues the trial.")
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(UUID(earlier))
        except ObjectNotFound:
            return
        if run.state is None or run.state.is_final():
            return
        client.set_flow_run_state(run.id, message)
        for task in client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))):
            if task.state is None or not task.state.is_final():
                client.set_task_run_state(task.id, message, force=True)


def title(values: space.Values) -> str:
    """The values of a trial, short.

    Example:
        >>> title({"lora.rank": 8, "optim.lr": 0.000312345})
        'lora.rank=8 optim.lr=0.000312'
    """
    return " ".join(
        f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )


def publish(report: dict[str, Any]) -> None:
    """Puts the report into the Prefect UI, its plots inside."""
    paths = {name: Path(report["folder"]) / name for name in PLOTS}
    pictures = {name: data_uri(path.read_bytes()) for name, path in paths.items() if path.exists()}
    publish_page("sweep", markdown(report, pictures), headline(report))
