"""Checks an adapter again, from disk only: its bytes, its logits, its base, its gradients.

python -m pipelines.verify adapter=outputs/runs/mine/adapter
python -m pipelines.verify adapter=outputs/runs/mine/adapter 'verify.checks=[files,mlx_lm_logits]'
"""

from pipelines.command.adapter_argument import adapter_name, with_adapter, with_form
from pipelines.command.line import command

if __name__ == "__main__":
    command("pipelines.verify", with_adapter, flags=False)

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from rich.console import Console
from rich.table import Table

from pipelines.command.terminal import quiet_user_errors
from pipelines.config import Run
from pipelines.orchestrate.as_task import AsStage, as_function
from pipelines.report.artifacts import publish_page
from pipelines.report.markdown import code
from pipelines.report.run_report import checks
from pipelines.report.terminal_text import plain
from pipelines.run.gpu_lock import gpu_lock
from tasks.errors import VerifyError
from tasks.verify import Verdict
from tasks.verify import verify as verify_task


def run_name() -> str:
    """The flow run's name in the UI: the adapter."""
    return adapter_name(flow_run.parameters["adapter"])


@flow(name="verify", flow_run_name=run_name)
def verify(
    adapter: str,
    overrides: list[str] = [],  # noqa: B006 (Prefect reads the default for its form)
) -> dict[str, Any]:
    """Check an adapter again, from disk only.

    Args:
        adapter: The adapter's directory, such as outputs/runs/NAME/TIME-ID/adapter.
        overrides: One change an item, such as verify=quick or model.path=/models/mine.
    """
    quiet_user_errors()
    folder, run = with_form(adapter, None, overrides)
    verdict = _check(folder, run, lambda stage: stage)
    verdict_in_words = "verified" if verdict.passed else "not verified"
    page = (
        f"# {code(adapter_name(adapter))}: {verdict_in_words}\n\n{code(str(folder))}\n\n{checks(verdict.model_dump())}"
    )
    publish_page("verdict", page, verdict_in_words)
    return _require_passed(folder, verdict).model_dump(mode="json")


def main(overrides: Sequence[str]) -> None:
    """The command, without Prefect: prints every check, exits 1 when one fails."""
    adapter, run = with_adapter(overrides)
    log = logging.getLogger("tasks")
    level = log.level
    log.setLevel(logging.CRITICAL)  # the table says it all
    try:
        verdict = _check(adapter, run, as_function)
    finally:
        log.setLevel(level)
    table = Table("check", "", "what it saw")
    for check in verdict.checks:
        passed = plain("passed", "green") if check.passed else plain("failed", "red")
        table.add_row(check.name, passed, plain(check.detail))
    Console().print(table)
    _require_passed(adapter, verdict)


def _check(folder: Path, run: Run, as_stage: AsStage) -> Verdict:
    with gpu_lock(run.gpu_lock, folder, run.name):
        return as_stage(verify_task)(folder, run.model, run.verify)


def _require_passed(adapter: Path, verdict: Verdict) -> Verdict:
    if not verdict.passed:
        raise VerifyError(f"the adapter at {adapter} is not verified: {verdict.failures()}")
    return verdict
