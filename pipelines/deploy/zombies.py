"""Marks runs as crashed whose process was killed or whose machine is gone."""

from datetime import timedelta

from prefect.automations import AutomationCore
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

NAME = "Graftline: mark dead runs as crashed"
SILENCE = timedelta(seconds=155)
"""Five heartbeats of 30 s (pyproject.toml, `flows.heartbeat_frequency`) and a little."""
SIGNS = {"prefect.flow-run.heartbeat", "prefect.flow-run.Cancelling"}
"""Events that another one must follow. Events carry the names of states, not their types: any event will do, so that a
run that ended in a state of our own, such as Paused, is not taken for dead."""


def automation() -> AutomationCore:
    """The automation that marks a run as crashed: silent for SILENCE after a heartbeat or a request to cancel."""
    return AutomationCore(
        name=NAME,
        description="Installed by pipelines.serve. A run that says nothing for 155 s is dead.",
        tags=["graftline"],
        trigger=EventTrigger(
            after=SIGNS,
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[  # pyright: ignore[reportArgumentType] (a list of one kind of action)
            ChangeFlowRunState(
                state=StateType.CRASHED,
                name="Crashed",
                force=False,
                message=f"Nothing was heard of this run for {SILENCE.seconds} s: its process or its machine is gone. "
                "A run with its run_dir resumes from the last checkpoint.",
            )
        ],
    )


def install(client: SyncPrefectClient) -> None:
    """Puts the automation on the server, or brings the one that is there up to date.

    One that is as it should be is not touched: an update makes the server forget which runs it is waiting to hear from.
    """
    wanted, installed = automation(), client.read_automations_by_name(NAME)
    if not installed:
        client.create_automation(wanted)
    for each in installed:
        if _essence(each) != _essence(wanted):
            client.update_automation(each.id, wanted.model_copy(update={"enabled": each.enabled}))


def _essence(automation: AutomationCore) -> object:
    return automation.model_dump(include={"description", "tags", "trigger", "actions"})
