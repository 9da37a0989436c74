"""Searches for the best of many runs, with any number of workers, and goes on where it was stopped.

python -m pipelines.sweep +sweep=rate_and_rank +experiment=quickstart sweep.budget.trials=4
python -m pipelines.sweep +sweep=rate_and_rank data.train=chat.jsonl 'sweep.space.lora.rank.choices=[8,16,32]'
"""

from pipelines.command.line import command
from pipelines.orchestrate.private_server import begin
from pipelines.search.problems import check

if __name__ == "__main__":
    command("pipelines.sweep", lambda overrides: begin(check(overrides).run.orchestrate))

from collections.abc import Sequence
from typing import Annotated, Any

from prefect import flow
from prefect.runtime import flow_run
from pydantic import AfterValidator, Field

from pipelines.command.terminal import quiet_user_errors, ready_for_prefect, show_log
from pipelines.config import CONF
from pipelines.config.form import check_overrides
from pipelines.config.override import choices, split_choices
from pipelines.config.put_away import with_secrets, without_secrets
from pipelines.finetune import Experiment
from pipelines.orchestrate.as_task import as_function, as_task, run_body
from pipelines.orchestrate.outcome import Outcome, surviving_lost_server
from pipelines.search.conclude import say_search
from pipelines.search.flows import as_flow, publish
from pipelines.search.search import compose_search
from pipelines.search.work import work
from tasks.errors import hide_secrets

SWEEPS = tuple(sorted(path.stem for path in (CONF / "sweep").glob("*.yaml")))


def check_sweep(name: str) -> str:
    """Refuses a sweep that is no file of conf/sweep.

    Raises:
        ValueError: naming what there is.
    """
    if name not in SWEEPS:
        raise ValueError(f"there is no sweep {name!r}; choose from {', '.join(SWEEPS)}")
    return name


Sweep = Annotated[str, AfterValidator(check_sweep), Field(json_schema_extra={"enum": [*SWEEPS]})]


def run_name() -> str:
    """The flow run's name in the UI: the sweep, the experiment and what was changed."""
    parameters = flow_run.parameters
    chosen = [str(parameters.get(name)) for name in ("sweep", "experiment")]
    return hide_secrets(" ".join([*chosen, *parameters.get("overrides", [])]))[:120]


@flow(name="sweep", flow_run_name=run_name)
def sweep(
    sweep: Sweep,
    experiment: Experiment = "none",
    overrides: list[str] = [],  # noqa: B006 (Prefect reads the default for its form)
) -> Any:
    """Search for the best adapter: trials of one run, until the budget is spent; started again, it resumes.

    Args:
        sweep: A file of conf/sweep: what is tried, and when it is enough.
        experiment: A file of conf/experiment, the run that is varied; none starts from conf/config.yaml.
        overrides: One change an item, of the run, such as train.steps=500, or of the search, such as
            sweep.budget.trials=20 or sweep.study=mine.
    """
    quiet_user_errors()
    chosen = choices(sweep=sweep, experiment=experiment)
    search = check([*chosen, *check_overrides(with_secrets(overrides), besides=("sweep",))])

    def body(outcome: Outcome) -> dict[str, Any]:
        outcome.report = work(search, as_task, as_flow)
        publish(outcome.report)
        return outcome.report

    return run_body(body)


def main(overrides: Sequence[str]) -> None:
    """The command: with Prefect, or with the trials as plain functions."""
    search = compose_search(overrides)
    if search.run.orchestrate:
        ready_for_prefect()
        chosen, rest = split_choices(overrides, "sweep", "experiment")
        with surviving_lost_server() as outcome:
            sweep(**chosen, overrides=without_secrets(rest))
        assert outcome.report is not None, "a flow without a report raises"
        report = outcome.report
    else:
        show_log()
        report = work(search, as_function)
    say_search(report)
