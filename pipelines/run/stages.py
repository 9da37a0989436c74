"""The stages of a run in order, each from directory to directory."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from pipelines.config import Run
from pipelines.report.run_report import write_report
from pipelines.report.tokens_page import write_tokens_page
from pipelines.run.gpu_lock import gpu_lock
from pipelines.run.run_dir import OUTPUTS, TOKENS, new_run_dir, open_run, seal
from pipelines.run.unfinished import unfinished
from pipelines.run.within import require_open, within
from tasks.adapter import base_fingerprint
from tasks.device.blas import device
from tasks.evaluate import evaluate
from tasks.inject import inject
from tasks.plan import plan
from tasks.sink import MakeSink
from tasks.step import Recipe
from tasks.tokenize import tokenize, tokens_of
from tasks.train import train
from tasks.verify import verify

log = logging.getLogger(__name__)


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
