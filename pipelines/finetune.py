"""finetune: the whole path, from a model and a dataset to a verified adapter.

python -m pipelines.finetune +experiment=quickstart lora.rank=4
"""

from pipelines.command import command
from pipelines.config import EXPERIMENTS, compose
from pipelines.form import check_experiment, check_overrides
from pipelines.preflight import preflight
from pipelines.private_server import begin

if __name__ == "__main__":
    command("pipelines.finetune", lambda overrides: begin(preflight(overrides).orchestrate))

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.runtime import flow_run
from pydantic import AfterValidator, Field

from pipelines.as_task import as_task, concluded
from pipelines.config import Run
from pipelines.console import quiet_user_errors, ready_for_prefect, say_report, show_log
from pipelines.gpu_lock import gpu_lock
from pipelines.outcome import Outcome, past_prefect
from pipelines.report import publish, write_report
from pipelines.run_dir import OUTPUTS, TOKENS, new_run_dir, open_run, seal
from pipelines.tokens_page import write_tokens_page
from pipelines.unfinished import unfinished
from pipelines.window import require_open, within
from tasks.adapter import base_fingerprint
from tasks.blas import device
from tasks.errors import VerifyError
from tasks.evaluate import evaluate
from tasks.inject import inject
from tasks.plan import plan
from tasks.sink import MakeSink
from tasks.step import Recipe
from tasks.tokenize import tokenize, tokens_of
from tasks.train import train
from tasks.verify import verify

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
    return " ".join([str(parameters.get("experiment", "none")), *short])[:120]


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
    chosen = [] if experiment == "none" else [f"+experiment={experiment}"]
    changes = [*chosen, *check_overrides(overrides)]

    def body(came_to: Outcome) -> dict[str, Any]:
        came_to.report = run_stages(compose(changes), changes, as_task)
        publish(came_to.report)
        return _require_verified(came_to.report)

    return concluded(body)


def run_stages(
    run: Run, overrides: list[str], lift: Callable[[Any], Any], watch: tuple[MakeSink, ...] = ()
) -> dict[str, Any]:
    """The stages in order, each from directory to directory.

    Args:
        run: what it is made of.
        overrides: as typed, for the manifest.
        lift: makes a Prefect task what is to be called.
        watch: sinks of the caller's own, told of each step besides those of the run.
    """
    folder, began = _going_on(run) or new_run_dir(run, flow_run.id), time.monotonic()
    with within(run.window), open_run(run, folder):
        log.info("running on %s", device())
        cache = lift(tokenize)(run.data, run.model, TOKENS)
        settings = (run.model, run.lora, run.batch, run.train, run.optim, run.seed)
        agreed = lift(plan)(
            cache,
            *settings,
            folder / "plan.json",
            loss=run.loss,
            memory=run.memory,
            probe=run.plan.probe,
            evaluate=run.evaluate,
            verify=run.verify,
        )
        write_tokens_page(cache, run.data, run.model, folder)
        recipe = Recipe(
            rule=run.lora,
            layout=agreed.layout,
            loss=run.loss,
            optim=run.optim,
            memory=agreed.memory,
            train=run.train.model_copy(update={"accumulate": agreed.accumulate}),
            steps=agreed.steps,
            seed=run.seed,
        )
        with gpu_lock(run.gpu_lock, folder):
            start = lift(inject)(run.model, run.lora, run.seed, folder / "checkpoints" / "start")
            trained = lift(train)(start, cache, recipe, run.model, run.sinks, run.verify.probe_tokens, folder, watch)
            scores = lift(evaluate)(
                trained.adapter, cache, run.model, run.evaluate, folder / "evaluate.json", memory=run.memory
            )
            verdict = lift(verify)(trained.adapter, run.model, run.verify, folder / "verdict.json")
        report = write_report(run, folder, time.monotonic() - began, cache, agreed, trained, scores, verdict)
        seal(
            run, folder, overrides=overrides, data=cache.fingerprint, model=base_fingerprint(Path(trained.adapter.path))
        )
    return report


def _going_on(run: Run) -> Path | None:
    """The directory of a run that an earlier window left; no question of one that has a directory or no window."""
    if not run.window or run.run_dir or run.resume == "never":
        return None
    require_open(run.window)
    return unfinished(run, OUTPUTS / "runs", lambda: tokens_of(run.data, run.model, TOKENS).fingerprint)


def main(overrides: Sequence[str]) -> None:
    """The command: with Prefect, or the same stages as plain functions."""
    run = compose(overrides)
    if run.orchestrate:
        chosen = [o.partition("=")[2] for o in overrides if o.startswith("+experiment=")]
        rest = [o for o in overrides if not o.startswith("+experiment=")]
        ready_for_prefect()
        with past_prefect() as came_to:
            finetune(experiment=chosen[-1] if chosen else "none", overrides=rest)
        assert came_to.report is not None, "a flow without a report raises"
        report = came_to.report
    else:
        show_log()
        report = _require_verified(run_stages(run, list(overrides), lambda stage: stage.fn))
    say_report(report)


def _require_verified(report: dict[str, Any]) -> dict[str, Any]:
    if not report["verify"]["passed"]:
        failed = [f"{c['name']}: {c['detail']}" for c in report["verify"]["checks"] if not c["passed"]]
        raise VerifyError(f"the adapter of {report['run_dir']} is not verified: {'; '.join(failed)}")
    return report
