"""train: an adapter and a token cache -> the adapter, steps later. Resuming is training from any step."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx
from httpx import HTTPError
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import SettingsContext, TaskRunContext, get_settings_context
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks.adapter import Adapter, base_fingerprint, load_adapter, record_probe, save_adapter
from tasks.artifact import Record
from tasks.batch import first_tokens
from tasks.data import TokenCache
from tasks.device.blas import threads_for
from tasks.errors import GraftlineError
from tasks.memory import limits
from tasks.model import Model
from tasks.model.base import load_base, tokenizer_fingerprint
from tasks.model.context_limits import limits_of
from tasks.model.dense import dense_base
from tasks.model.family import largest_projection
from tasks.sink import SinkContext, Sinks, Status, StepMetrics
from tasks.step import Recipe
from tasks.step.loop import Training

log = logging.getLogger(__name__)


class Trained(Record):
    """The result of a training.

    Attributes:
        adapter: the final adapter directory; its `step` is the step that it is the adapter of.
        steps: optimizer steps done.
        ended: why there was no further one: `steps` were all that was asked for, or `patience` ran out.
        tokens: real tokens seen, each epoch's.
        supervised_tokens: those of them that the loss counted.
        seconds: wall time of the steps, compiling included, validating and saving not.
        tokens_per_second: tokens / seconds.
        loss_first: the loss of the first step, nats.
        loss_last: the loss of the last step, nats.
        valid_loss: after the last step; None without validation rows.
        best_loss: the lowest validation loss.
        best_step: after which step.
        peak_memory_bytes: the most bytes that MLX's arrays took.
        resumed_from: the step that this process resumed from; None for a fresh start.
        skipped: steps whose loss or gradient was not finite, under train.on_bad=skip.
        restores: how often such a step was gone back from, under train.on_bad=restore.
        spikes: steps whose loss was far above those before.
    """

    adapter: Adapter
    steps: int
    tokens: int
    supervised_tokens: int
    seconds: float
    tokens_per_second: float
    loss_first: float
    loss_last: float
    valid_loss: float | None
    peak_memory_bytes: int
    resumed_from: int | None
    best_loss: float | None = None
    best_step: int | None = None
    ended: Literal["steps", "patience"] = "steps"
    skipped: int = 0
    restores: int = 0
    spikes: int = 0


def worth_retrying(task: object, task_run: object, state: State[Any]) -> bool:
    """Whether a failure may be gone the next time, which goes on from the checkpoint; a mistake or a signal is not."""
    return not isinstance(state.data, GraftlineError)


@task(
    name="train",
    task_run_name="train {recipe.steps} steps",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=10,
    retry_condition_fn=worth_retrying,
)
def train(
    start: Adapter,
    cache: TokenCache,
    recipe: Recipe,
    model: Model,
    out: Path,
    sinks: Sinks,
    probe_tokens: int,
) -> Trained:
    """Trains the adapter, from the newest checkpoint under `out` if there is one.

    Args:
        start: the adapter at step 0.
        cache: the tokenized splits; `train` is trained on, `valid` validated on.
        recipe: what shapes the result.
        model: the base.
        out: the run directory; gets metrics.jsonl, checkpoints/ and adapter/.
        sinks: the receivers of metrics; a sink may end the training by an exception.
        probe_tokens: length of the row on which the final logits are recorded.

    Raises:
        RunError: the loss or the gradient is not finite, or a checkpoint is of other settings.
        Interrupted: a signal came; a checkpoint was written first.
    """
    loaded = load_base(model)
    base, longest = loaded.model, limits_of(loaded.model, loaded.config).positions
    load_adapter(Path(start.path), base, rule=recipe.rule)
    rows, valid = cache.split("train"), cache.split("valid") if "valid" in cache.splits else None
    with limits(recipe.memory):
        mx.reset_peak_memory()
        origin = {
            "data": cache.fingerprint,
            "tokenizer": tokenizer_fingerprint(model),
            "base model": base_fingerprint(Path(start.path)),
        }
        with dense_base(base, recipe.memory.base) as swapped:
            if swapped:
                log.info("%d quantized layers are dense while training lasts", swapped)
            training = Training(base, rows, valid, recipe, out, origin=origin)
            if TaskRunContext.get():
                sinks = replace(sinks, make=(*sinks.make, ProgressArtifact))
            with (
                sinks.opened(out, first=training.first, last=recipe.steps) as opened,
                threads_for(largest_projection(base)),
            ):
                step = training.run(opened)
        probe = record_probe(base, first_tokens(valid or rows, min(probe_tokens, longest)))
        adapter = save_adapter(
            out / "adapter",
            base,
            rule=recipe.rule,
            source=model,
            step=step,
            seed=recipe.seed,
            probe=probe,
            ends=list(cache.splits["train"].ends),
            template=cache.template,
            template_kwargs=cache.template_kwargs,
        )
    counters, ended = training.counters, training.ended
    assert ended is not None, "it ran to its end"
    assert counters.loss_first is not None, "no step was done"
    assert counters.loss_last is not None, "no step was done"
    return Trained(
        adapter=adapter,
        steps=training.step,
        ended=ended,
        tokens=counters.tokens,
        supervised_tokens=counters.supervised_tokens,
        seconds=round(counters.seconds, 3),
        tokens_per_second=counters.tokens_per_second,
        loss_first=counters.loss_first,
        loss_last=counters.loss_last,
        valid_loss=counters.valid_loss,
        peak_memory_bytes=counters.peak_memory_bytes,
        resumed_from=training.first or None,
        best_loss=counters.best_loss,
        best_step=counters.best_step,
        skipped=counters.skipped,
        restores=counters.restores,
        spikes=counters.spikes,
    )


class ProgressArtifact:
    """A sink that shows the share of steps done as a progress bar in the Prefect UI, at most once a second.

    A server that does not answer is asked again a minute later, and at the end; training does not wait for it.
    """

    def __init__(self, run: SinkContext):
        self._total, self._lost = run.last, False
        self._id: Any = None
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: 5.0}) as impatient:
            self._impatient = impatient  # made once: it takes 65 ms
        self._send(0, "training")

    def write(self, metrics: StepMetrics) -> None:
        """Moves the bar if a second has passed, or at the end."""
        if time.monotonic() >= self._next or metrics.step == self._total:
            self._send(metrics.step, f"step {metrics.step} of {self._total}, loss {metrics.loss:.4f}")

    def _send(self, step: int, text: str) -> None:
        """Tries once and for five seconds at most: left alone, Prefect tries for more than a minute."""
        share = 100.0 * step / self._total
        try:
            with SettingsContext(profile=get_settings_context().profile, settings=self._impatient):
                if self._id is None:
                    self._id = create_progress_artifact(progress=share, key="training", description=text)
                else:
                    update_progress_artifact(self._id, progress=share, description=text)
            self._next, self._lost = time.monotonic() + 1, False
        except (HTTPError, PrefectException) as error:
            if not self._lost:
                log.warning("the Prefect server does not answer (%s); training goes on without it", error)
            self._next, self._lost = time.monotonic() + 60, True

    def close(self, _status: Status) -> None:
        """Nothing is left open."""
