"""Trains a LoRA adapter on a model and a dataset, evaluates it, and proves it from disk before the command exits 0.

python -m pipelines.finetune +experiment=quickstart lora.rank=4
python -m pipelines.finetune data.train=chat.jsonl model.path=Qwen/Qwen3-0.6B 'lora.targets=[q_proj,v_proj]'
"""

from pipelines.command.line import command
from pipelines.command.preflight import preflight
from pipelines.config import EXPERIMENTS, compose
from pipelines.config.form import check_experiment, check_overrides
from pipelines.config.override import choices, split_choices
from pipelines.config.put_away import with_secrets, without_secrets
from pipelines.orchestrate.private_server import begin

if __name__ == "__main__":
    command("pipelines.finetune", lambda overrides: begin(preflight(overrides).orchestrate))

import logging
from collections.abc import Sequence
from typing import Annotated, Any

from prefect import flow
from prefect.runtime import flow_run
from pydantic import AfterValidator, Field

from pipelines.command.terminal import quiet_user_errors, ready_for_prefect, say_report, show_log
from pipelines.orchestrate.as_task import as_function, as_task, run_body
from pipelines.orchestrate.outcome import Outcome, surviving_lost_server
from pipelines.report.run_report import publish
from pipelines.run.stages import run_stages
from tasks.errors import VerifyError, hide_secrets
from tasks.verify import Verdict

log = logging.getLogger(__name__)
Experiment = Annotated[
    str,
    AfterValidator(check_experiment),
    Field(json_schema_extra={"enum": ["none", *EXPERIMENTS]}),
]


def run_name() -> str:
    """The flow run's name in the UI: the experiment and what was changed, folders left out."""
    parameters = flow_run.parameters
    changes = [o.partition("=") for o in parameters.get("overrides", [])]
    short = [f"{key}={value.rpartition('/')[2]}" for key, _, value in changes if key not in ("run_dir", "window")]
    return hide_secrets(" ".join([str(parameters.get("experiment", "none")), *short]))[:120]


@flow(name="finetune", flow_run_name=run_name)
def finetune(
    experiment: Experiment = "none",
    overrides: list[str] = [],  # noqa: B006 (Prefect reads the default for its form)
) -> Any:
    """Turn a model and a dataset into a verified LoRA adapter.

    Args:
        experiment: A file of conf/experiment; none starts from the defaults of conf/config.yaml, and wants
            data.train=... below.
        overrides: One change an item, such as lora.rank=16, optim.lr=3e-4, train.steps=500, model=qwen3_0_6b or
            data.train=/data/chat.jsonl.
    """
    quiet_user_errors()
    changes = [*choices(experiment=experiment), *check_overrides(with_secrets(overrides))]

    def body(outcome: Outcome) -> dict[str, Any]:
        outcome.report = run_stages(compose(changes), changes, as_task)
        publish(outcome.report)
        return _require_verified(outcome.report)

    return run_body(body)


def main(overrides: Sequence[str]) -> None:
    """The command: with Prefect, or with the stages as plain functions."""
    run = compose(overrides)
    if run.orchestrate:
        chosen, rest = split_choices(overrides, "experiment")
        ready_for_prefect()
        with surviving_lost_server() as outcome:
            finetune(**chosen, overrides=without_secrets(rest))
        assert outcome.report is not None, "a flow without a report raises"
        report = outcome.report
    else:
        show_log()
        report = _require_verified(run_stages(compose(overrides), list(overrides), as_function))
    say_report(report)


def _require_verified(report: dict[str, Any]) -> dict[str, Any]:
    verdict = Verdict.model_validate(report["verify"], strict=False)
    if not verdict.passed:
        raise VerifyError(f"the adapter of {report['run_dir']} is not verified: {verdict.failures()}")
    return report
