"""A search in the Prefect UI: each trial a flow run under the worker's, named by what it tries; the report a page."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Failed

from pipelines.search import space
from pipelines.search.plots import PLOTS
from pipelines.search.report import headline, markdown
from pipelines.search.trial import Outcome


def as_flow(number: int, values: space.Values, body: Callable[[], Outcome]) -> Outcome:
    """Runs a trial as a flow run of its own; pruned and infeasible ones end under those names."""
    found: list[Outcome] = []

    @flow(name="trial", flow_run_name=f"trial {number}: {title(values)}"[:120], validate_parameters=False)
    def trial(number: int, values: dict[str, Any]) -> State[Any]:
        outcome = body()
        found.append(outcome)
        said = outcome.detail or f"{outcome.value:.6g}"
        if outcome.state == "failed":
            return Failed(message=said)
        return Completed(name=outcome.state.capitalize().replace("Complete", "Completed"), message=said)

    # The worker's own flow run beats; a beat of each trial would cost a second at its end.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        state = trial(number, values, return_state=True)
    if not found:
        state.result()  # raises what ended the trial
    return found[0]


def title(values: space.Values) -> str:
    """What a trial tries, short.

    Example:
        >>> title({"lora.rank": 8, "optim.lr": 0.000312345})
        'lora.rank=8 optim.lr=0.000312'
    """
    return " ".join(
        f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )


def publish(report: dict[str, Any]) -> None:
    """The report as a page of the Prefect UI, its plots inside."""
    from prefect.artifacts import create_markdown_artifact

    folder = Path(report["folder"])
    pictures = {
        name: f"data:image/svg+xml;base64,{base64.b64encode((folder / name).read_bytes()).decode()}"
        for name in PLOTS
        if (folder / name).exists()
    }
    create_markdown_artifact(key="sweep", markdown=markdown(report, pictures), description=headline(report))
