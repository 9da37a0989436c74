"""The stages of a run in order, each from directory to directory."""

import logging
import time
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from pipelines.config import Run
from pipelines.orchestrate.as_task import AsStage
from pipelines.report.run_report import write_report
from pipelines.report.tokens_page import write_tokens_page
from pipelines.run.gpu_lock import gpu_lock
from pipelines.run.run_dir import OUTPUTS, TOKENS, new_run_dir, open_run, seal
from pipelines.run.unfinished import interrupted_run
from pipelines.run.within import require_open, within
from tasks.adapter import base_fingerprint
from tasks.device.blas import device
from tasks.evaluate import evaluate
from tasks.inject import inject
from tasks.plan import plan
from tasks.sink import SINKS, MakeSink, Sinks
from tasks.tokenize import tokenize, tokens_of
from tasks.train import train
from tasks.verify import verify

log = logging.getLogger(__name__)


def run_stages(run: Run, overrides: list[str], as_stage: AsStage, watch: tuple[MakeSink, ...] = ()) -> dict[str, Any]:
    """Runs the stages in order, each from directory to directory; gives the report.

    Args:
        run: what it is made of.
        overrides: as typed, for the manifest.
        as_stage: wraps each stage: `as_task` as a Prefect task, `as_function` as the plain function.
        watch: sinks of the caller, beside those of the run.
    """
    folder, began = _interrupted_run(run) or new_run_dir(run, flow_run.id), time.monotonic()
    with within(run.window), open_run(run, folder):
        log.info("running on %s", device())
        cache = as_stage(tokenize)(run.data, run.model, TOKENS)
        agreed = as_stage(plan)(
            cache, run.model, run.recipe(), run.evaluate, run.verify, folder / "plan.json", probe=run.plan.probe
        )
        recipe = agreed.recipe(run.recipe())
        write_tokens_page(cache, run.data, run.model, folder)
        sinks = Sinks((*(SINKS[name] for name in run.sinks), *watch), run.name, run.model_dump(mode="json"))
        with gpu_lock(run.gpu_lock, folder, run.name):
            start = as_stage(inject)(run.model, recipe.rule, recipe.seed, folder / "checkpoints" / "start")
            trained = as_stage(train)(start, cache, recipe, run.model, folder, sinks, run.verify.probe_tokens)
            scores = as_stage(evaluate)(
                trained.adapter, cache, run.model, run.evaluate, folder / "evaluate.json", memory=run.memory
            )
            verdict = as_stage(verify)(trained.adapter, run.model, run.verify, folder / "verdict.json")
        report = write_report(run, folder, time.monotonic() - began, cache, agreed, trained, scores, verdict)
        seal(
            run, folder, overrides=overrides, data=cache.fingerprint, model=base_fingerprint(Path(trained.adapter.path))
        )
    return report


def _interrupted_run(run: Run) -> Path | None:
    """The directory of a run that an earlier window left; None for a run that names its directory, or has no window."""
    if not run.window or run.run_dir or run.resume == "never":
        return None
    require_open(run.window)
    return interrupted_run(run, OUTPUTS / "runs", lambda: tokens_of(run.data, run.model, TOKENS).fingerprint)
