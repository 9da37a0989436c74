"""train: an adapter and a token cache -> the adapter, steps later. Resuming is training from any step."""

import logging
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from tasks.adapter import Adapter, load_adapter, record_probe, save_adapter
from tasks.artifact import Record
from tasks.batch import Batch, Bucketed, Padded, Rows, batches, stream
from tasks.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from tasks.checkpoint.interrupt import stop_on_signal
from tasks.data import TokenCache
from tasks.errors import Interrupted, RunError
from tasks.grad import Part, accumulate, checkpoint_blocks, value_and_grad
from tasks.grad.batch_loss import batch_loss, mean_loss
from tasks.lora import LoRA, RsLoRA
from tasks.lora.attach import draw_dropout
from tasks.loss import MSE, CrossEntropy, LossSum, MaskedCrossEntropy
from tasks.memory import Memory, limits, usage
from tasks.model import Model
from tasks.model.family import blocks
from tasks.model.load import load_base
from tasks.optim import AdamW, clip, load_state, state_arrays
from tasks.settings import Train
from tasks.sink import SINKS, Counters, Sink, SinkName, StepMetrics

log = logging.getLogger(__name__)


class Recipe(Record):
    """How to train: all that shapes the result, apart from the base and the rows."""

    rule: LoRA | RsLoRA
    layout: Padded | Bucketed
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
    """The loop; leaves the trained parameters in `model`. Gives the counters and the step it went on from."""
    settings, optimizer = recipe.train, recipe.optim.build()
    masters: Any = model.trainable_parameters()
    optimizer.init(masters)
    counters, first = Counters(), 0
    if found := newest_checkpoint(out / "checkpoints"):
        first, counters = found.step, Counters(**found.counters)
        masters = _restore(found, optimizer, masters)
        log.info("going on from step %d of %d", first, recipe.steps)
    source = stream(rows, recipe.layout, seed=recipe.seed, start=first * settings.accumulate)
    keys = mx.random.split(mx.random.key(recipe.seed), recipe.steps)
    opened, step = _open_sinks(sinks, out, first, recipe.steps), first
    try:
        with stop_on_signal() as stop:
            for step in range(first + 1, recipe.steps + 1):
                began = time.perf_counter()
                window = list(islice(source, settings.accumulate))
                loss, grads = _sum_window(model, masters, recipe, window, keys[step - 1])
                grads, norm = clip(grads, recipe.optim.clip_norm)
                _require_finite(step, loss.mean.item(), norm.item(), window)
                optimizer.learning_rate = rate = recipe.optim.rate(step - 1, recipe.steps)
                masters = optimizer.apply_gradients(grads, masters)
                mx.eval(masters, optimizer.state)
                seconds = time.perf_counter() - began
                model.update(masters)
                metrics = counters.count(
                    step=step,
                    loss=loss.mean.item(),
                    learning_rate=rate,
                    grad_norm=norm.item(),
                    tokens=sum(int(batch.real_BT.sum()) + len(batch.examples) for batch in window),
                    supervised_tokens=sum(int((batch.weights_BT > 0).sum()) for batch in window),
                    seconds=seconds,
                    memory=usage(),
                    valid_loss=_validate(model, valid, recipe) if _due(step, recipe, settings.eval_every) else None,
                )
                for sink in opened:
                    sink.write(metrics)
                if stop.signum is not None or _due(step, recipe, settings.save_every):
                    state = {f"optimizer.{name}": array for name, array in state_arrays(optimizer).items()}
                    arrays: dict[str, mx.array] = {**dict(tree_flatten(masters)), **state}
                    save_checkpoint(out / "checkpoints", Checkpoint(step, arrays, vars(counters)), keep=settings.keep)
                if stop.signum is not None and step < recipe.steps:
                    raise Interrupted(f"stopped after step {step} of {recipe.steps}; the same command goes on", stop.signum)
    except BaseException as error:
        error.add_note(f"training step {step} of {recipe.steps}")
        raise
    finally:
        for sink in opened:
            sink.close()
    model.update(masters)
    return counters, first or None


def _restore(found: Checkpoint, optimizer: Any, masters: Any) -> Any:
    state = {name: array for name, array in found.arrays.items() if name.startswith("optimizer.")}
    load_state(optimizer, {name.removeprefix("optimizer."): array for name, array in state.items()}, masters)
    return tree_unflatten([(name, array) for name, array in found.arrays.items() if name not in state])


def _sum_window(model: nn.Module, masters: Any, recipe: Recipe, window: list[Batch], key: mx.array) -> Part:
    """The loss of a window of batches, and the gradient of its sum divided once by its count."""

    def parts() -> Iterator[tuple[Any, Any]]:
        for batch, own in zip(window, mx.random.split(key, len(window)), strict=True):

            def total(parameters: Any, batch: Batch = batch, key: mx.array = own) -> LossSum:
                model.update(parameters)
                draw_dropout(model, key)
                return batch_loss(model, recipe.loss, batch)

            yield value_and_grad(total)(masters)

    model.train()
    try:
        with checkpoint_blocks(blocks(model)[1] if recipe.memory.checkpoint == "all" else []):
            return accumulate(parts())
    finally:
        model.eval()
        model.update(masters)


def _due(step: int, recipe: Recipe, every: int | None) -> bool:
    return step == recipe.steps or (every is not None and step % every == 0)


def _require_finite(step: int, loss: float, norm: float, window: list[Batch]) -> None:
    if not (math.isfinite(loss) and math.isfinite(norm)):
        examples = [index for batch in window for index in batch.examples]
        raise RunError(
            f"step {step}: the loss is {loss}, the gradient norm {norm}, on training examples {examples[:16]}; "
            "nothing was updated. Lower optim.lr, or look at those rows"
        )


def _validate(model: nn.Module, valid: Rows | None, recipe: Recipe) -> float | None:
    if valid is None:
        return None
    return mean_loss(model, recipe.loss, islice(batches(valid, recipe.layout, seed=0), recipe.train.eval_batches))


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
