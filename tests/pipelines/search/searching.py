"""Searches to test with: one of the starter model, and a stand-in for its runs that takes no time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.run.run_dir import shaping
from pipelines.search.same_study import settings_of
from pipelines.search.search import Search, compose_search
from pipelines.search.storage import Storage
from pipelines.search.study import Study
from tasks.sink import MakeSink, SinkContext, StepMetrics

BASE = ["+sweep=rate_and_rank", "+experiment=quickstart", "train.eval_every=2", "orchestrate=false"]


def search_in(folder: Path, *overrides: str) -> Search:
    """A search whose everything is under a folder."""
    return compose_search([*BASE, f"sweep.folder={folder}", "sweep.study=test", *overrides])


def study_of(search: Search, **changes: Any) -> Study:
    """Its study, opened by one more worker."""
    search.folder.mkdir(parents=True, exist_ok=True)
    sweep = search.sweep.model_copy(update=changes)
    settings = settings_of(sweep, shaping(search.run))
    return Study(sweep, settings, Storage(search.storage, patience=1.0), search.folder)


def step(number: int, valid_loss: float | None) -> StepMetrics:
    """The metrics of one step."""
    counts = {"tokens": 1, "supervised_tokens": 1, "seconds": 0.1, "tokens_per_second": 1.0}
    memory = dict.fromkeys(("active_memory_bytes", "cache_memory_bytes", "peak_memory_bytes"), 1)
    figures = {"loss": 1.0, "learning_rate": 0.1, "grad_norm": 1.0}
    return StepMetrics(step=number, valid_loss=valid_loss, **figures, **counts, **memory)


def stand_in(loss: Callable[[Any, int], float], steps: int = 4) -> Callable[..., dict[str, Any]]:
    """What takes the place of `run_stages`: tells the sinks of a loss at each second step, and reports the last one.

    Args:
        loss: of a run after a step.
        steps: of each run.
    """

    def run_stages(run: Any, overrides: list[str], as_stage: Any, watch: tuple[MakeSink, ...] = ()) -> dict[str, Any]:
        del overrides, as_stage
        folder = Path(run.run_dir)
        sinks = [make(SinkContext(folder=folder, last=steps)) for make in watch]
        for number in range(1, steps + 1):
            for sink in sinks:
                sink.write(step(number, loss(run, number) if number % 2 == 0 else None))
        return {
            "status": "verified",
            "evaluate": {"loss_after": loss(run, steps)},
            "verify": {"passed": True, "checks": [{"name": "files", "passed": True, "detail": ""}]},
            "adapter": {"sha256": "0" * 64},
        }

    return run_stages
