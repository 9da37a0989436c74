"""train: an adapter and a token cache -> the adapter, steps later. Resuming is training from any step."""

import logging
import math
import time
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from tasks.adapter import Adapter, load_adapter, record_probe, save_adapter
from tasks.artifact import Record
from tasks.batch import Batch, Bucketed, Packed, Padded, Rows, batches, stream
from tasks.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from tasks.checkpoint.interrupt import stop_on_signal
from tasks.data import TokenCache
from tasks.errors import Interrupted, RunError
from tasks.lora import LoRA, RsLoRA
from tasks.loss import MSE, CrossEntropy, MaskedCrossEntropy
from tasks.memory import Memory, limits, usage
from tasks.model import Model
from tasks.model.family import model_type
from tasks.model.head import find_head
from tasks.model.load import load_base
from tasks.optim import AdamW
from tasks.settings import Train
from tasks.sink import SINKS, Counters, Sink, SinkName, StepMetrics
from tasks.step import Forward, Update, Updated
from tasks.step.update import named

log = logging.getLogger(__name__)


class Recipe(Record):
    """How to train: all that shapes the result, apart from the base and the rows."""

    rule: LoRA | RsLoRA
    layout: Packed | Padded | Bucketed
    loss: CrossEntropy | MaskedCrossEntropy | MSE
    optim: AdamW
    memory: Memory
    train: Train
    steps: int
    seed: int


class Trained(Record):
    """What a training came to.

    Attributes:
        adapter: the final adapter directory.
        steps: optimizer steps done.
        tokens: real tokens seen, each epoch's.
        supervised_tokens: those of them that the loss counted.
        seconds: wall time of the steps, compiling included, validating and saving not.
        tokens_per_second: tokens / seconds.
        loss_first: the loss of the first step, nats.
        loss_last: the loss of the last step, nats.
        valid_loss: after the last step; None without validation rows.
        peak_memory_bytes: the most that MLX's arrays held.
        resumed_from: the step that this process went on from; None for a fresh start.
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


@task(name="train", task_run_name="train {recipe.steps} steps", cache_policy=NO_CACHE)
def train(
    start: Adapter,
    cache: TokenCache,
    recipe: Recipe,
    model: Model,
    sinks: tuple[SinkName, ...],
    probe_tokens: int,
    out: Path,
) -> Trained:
    """Trains the adapter, from the newest checkpoint under `out` if there is one.

    Args:
        start: the adapter at step 0.
        cache: the tokenized splits; `train` is trained on, `valid` validated on.
        recipe: what shapes the result.
        model: the base.
        sinks: where metrics go.
        probe_tokens: length of the row on which the final logits are recorded.
        out: the run directory; gets metrics.jsonl, checkpoints/ and adapter/.

    Raises:
        RunError: the loss or the gradient is not finite, or a checkpoint is of other settings.
        Interrupted: a signal came; a checkpoint was written first.
    """
    base = load_base(model).model
    load_adapter(Path(start.path), base, dropout=recipe.rule.dropout)
    rows, valid = cache.split("train"), cache.split("valid") if "valid" in cache.splits else None
    with limits(recipe.memory):
        mx.reset_peak_memory()
        counters, resumed_from = _fit(base, rows, valid, recipe, sinks, out)
        probe = record_probe(base, _probe_row(valid or rows, probe_tokens))
        adapter = save_adapter(
            out / "adapter", base, rule=recipe.rule, source=model, step=recipe.steps, seed=recipe.seed, probe=probe
        )
    assert counters.loss_first is not None, "no step was done"
    assert counters.loss_last is not None, "no step was done"
    return Trained(
        adapter=adapter,
        steps=recipe.steps,
        tokens=counters.tokens,
        supervised_tokens=counters.supervised_tokens,
        seconds=round(counters.seconds, 3),
        tokens_per_second=counters.tokens_per_second,
        loss_first=counters.loss_first,
        loss_last=counters.loss_last,
        valid_loss=counters.valid_loss,
        peak_memory_bytes=counters.peak_memory_bytes,
        resumed_from=resumed_from,
    )


def _fit(
    model: nn.Module, rows: Rows, valid: Rows | None, recipe: Recipe, sinks: tuple[SinkName, ...], out: Path
) -> tuple[Counters, int | None]:
    """The loop; leaves the trained parameters in `model`. Gives the counters and the step it went on from.

    A step is handed to the device, and while it computes the loss of the one before is read and the next batch made.
    """
    settings = recipe.train
    compiled = mx.default_device() == mx.gpu if settings.compile is None else settings.compile
    forward = _forward(model, recipe, split=not compiled)
    update = Update(forward, recipe.optim, recompute=recipe.memory.checkpoint == "all", compile=compiled)
    counters, first = Counters(), 0
    masters: Any = model.trainable_parameters()
    state = update.start(masters)
    if found := newest_checkpoint(out / "checkpoints"):
        _require_reachable(found, recipe, out)
        first, counters = found.step, Counters(**found.counters)
        masters, state = _restore(found, update, model)
        log.info("going on from step %d of %d", first, recipe.steps)
    source = stream(rows, recipe.layout, seed=recipe.seed, start=first * settings.accumulate)
    keys = mx.random.split(mx.random.key(recipe.seed), recipe.steps)
    opened = _open_sinks(sinks, out, first, recipe.steps)
    doing, unread = first, None
    began = time.perf_counter()

    def read(unread: _Unread) -> None:
        nonlocal began, doing
        doing = unread.step
        loss, norm = float(unread.done.loss.mean), float(unread.done.norm)
        _require_finite(unread.step, loss, norm, unread.window)
        now = time.perf_counter()
        metrics = counters.count(
            step=unread.step,
            loss=loss,
            learning_rate=unread.rate,
            grad_norm=norm,
            tokens=sum(batch.tokens for batch in unread.window),
            supervised_tokens=sum(batch.supervised_tokens for batch in unread.window),
            seconds=now - began,
            memory=usage(),
        )
        began = now
        if _due(unread.step, recipe, settings.eval_every):
            metrics = counters.validated(metrics, _validate(unread.step, forward, unread.done.masters, valid, recipe))
        for sink in opened:
            sink.write(metrics)

    try:
        with stop_on_signal() as stop:
            for step in range(first + 1, recipe.steps + 1):
                doing, window = step, list(islice(source, settings.accumulate))
                rate = recipe.optim.rate(step - 1, recipe.steps)
                done = update(masters, state, [forward.arrays(batch) for batch in window], keys[step - 1], rate)
                mx.async_eval(done)
                if unread is not None:
                    read(unread)
                masters, state, unread = done.masters, done.state, _Unread(step, rate, window, done)
                if _due(step, recipe, settings.save_every) or _due(step, recipe, settings.eval_every):
                    read(unread)
                    unread = None
                stopping = stop.signum is not None
                if stopping and unread is not None:
                    read(unread)
                    unread = None
                if stopping or _due(step, recipe, settings.save_every):
                    arrays = {**named(masters), **{f"optimizer.{k}": v for k, v in named(state).items()}}
                    save_checkpoint(out / "checkpoints", Checkpoint(step, arrays, vars(counters)), keep=settings.keep)
                if stopping and step < recipe.steps:
                    said = f"stopped after step {step} of {recipe.steps}; the same with run_dir={out} goes on"
                    raise Interrupted(said, stop.signum or 0)
                if unread is None:
                    began = time.perf_counter()  # validating and saving are no training time
    except BaseException as error:
        error.add_note(f"training step {doing} of {recipe.steps}")
        raise
    finally:
        for sink in opened:
            sink.close()
    model.update(masters)
    return counters, first or None


class _Unread(NamedTuple):
    """A step that the device may still be computing."""

    step: int
    rate: float
    window: list[Batch]
    done: Updated


def _forward(model: nn.Module, recipe: Recipe, *, split: bool) -> Forward:
    """How losses are computed: at the positions that count if the model has a head that can be taken apart."""
    chunk = recipe.memory.head_chunk
    head = find_head(model) if chunk is not None else None
    if chunk is not None and (head is None or not head.frozen):
        log.info("this %s model has no head of its own; logits are computed at every position", model_type(model))
        head = None
    return Forward(model, recipe.loss, head, chunk=chunk or 1, split=split)


def _require_reachable(found: Checkpoint, recipe: Recipe, out: Path) -> None:
    if found.step > recipe.steps:
        raise RunError(
            f"{out}: the newest checkpoint is of step {found.step}, the run has {recipe.steps}; "
            "give at least as many train.steps, or another run_dir"
        )


def _restore(found: Checkpoint, update: Update, model: nn.Module) -> tuple[Any, Any]:
    """A checkpoint's masters and optimizer state; the masters in the model's own order, as a fresh start has them.

    The order matters: the norm of the gradients is a sum over them, and another order rounds otherwise.
    """
    state = {name: array for name, array in found.arrays.items() if name.startswith("optimizer.")}
    model.load_weights([(name, array) for name, array in found.arrays.items() if name not in state], strict=False)
    masters = model.trainable_parameters()
    return masters, update.restore(masters, {name.removeprefix("optimizer."): a for name, a in state.items()})


def _due(step: int, recipe: Recipe, every: int | None) -> bool:
    return step == recipe.steps or (every is not None and step % every == 0)


def _require_finite(step: int, loss: float, norm: float, window: list[Batch]) -> None:
    if not (math.isfinite(loss) and math.isfinite(norm)):
        examples = [index for batch in window for index in batch.examples]
        raise RunError(
            f"step {step}: the loss is {loss}, the gradient norm {norm}, on training examples {examples[:16]}; "
            "nothing was updated. Lower optim.lr, or look at those rows"
        )


def _validate(step: int, forward: Forward, masters: Any, valid: Rows | None, recipe: Recipe) -> float | None:
    if valid is None:
        return None
    forward.model.update(masters)
    loss = forward.mean(islice(batches(valid, recipe.layout, seed=0), recipe.train.eval_batches))
    if not math.isfinite(loss):
        raise RunError(f"step {step}: the validation loss is {loss} after this step's update; lower optim.lr")
    return loss


def _probe_row(rows: Rows, tokens: int) -> list[int]:
    """A row of real tokens: the first examples one after another, cut."""
    row: list[int] = []
    for index in range(len(rows)):
        row += rows.ids(index).tolist()
        if len(row) >= tokens:
            break
    return row[:tokens]


def _open_sinks(names: tuple[SinkName, ...], out: Path, start: int, total: int) -> list[Sink]:
    opened: list[Sink] = [SINKS[name](out / "metrics.jsonl", start=start, total=total) for name in names]
    return [*opened, ProgressArtifact(total)] if TaskRunContext.get() else opened


class ProgressArtifact:
    """The share of steps done as a progress bar in the Prefect UI, at most once a second."""

    def __init__(self, total: int):
        self._total, self._last = total, time.monotonic()
        self._id: Any = create_progress_artifact(progress=0.0, key="training", description="training")

    def write(self, metrics: StepMetrics) -> None:
        """Moves the bar if a second has passed, or at the end."""
        now = time.monotonic()
        if now - self._last >= 1 or metrics.step == self._total:
            self._last, share = now, 100 * metrics.step / self._total
            text = f"step {metrics.step} of {self._total}, loss {metrics.loss:.4f}"
            update_progress_artifact(self._id, progress=share, description=text)

    def close(self) -> None:
        """Nothing is left open."""
