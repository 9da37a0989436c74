"""The metrics of a step, and the counters that run on over steps and resumes."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

RECENT = 64
"""Losses that the counters remember."""


@dataclass(frozen=True, kw_only=True)
class StepMetrics:
    """One optimizer step.

    Attributes:
        step: counted from 1.
        loss: sum over supervised tokens divided by their number, nats.
        learning_rate: the rate of this step's update.
        grad_norm: the global norm of the gradient before clipping.
        tokens: real tokens of this step, no padding.
        supervised_tokens: those of them that the loss counts.
        seconds: wall time of this step.
        tokens_per_second: real tokens so far divided by the wall time of training so far, compiling included.
        active_memory_bytes: bytes of arrays after the step.
        cache_memory_bytes: bytes that the allocator keeps for reuse.
        peak_memory_bytes: bytes of arrays at most since training began.
        valid_loss: as `loss`, over the validation rows; None where this step did not validate.
        skipped: True where the loss or the gradient is not finite, and nothing was updated; None otherwise.
        spike: True where the loss is far above those of the steps before; None otherwise.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    supervised_tokens: int
    seconds: float
    tokens_per_second: float
    active_memory_bytes: int
    cache_memory_bytes: int
    peak_memory_bytes: int
    valid_loss: float | None = None
    skipped: bool | None = None
    spike: bool | None = None

    def line(self) -> dict[str, Any]:
        """The values by name; what is None is left out, and a number that is not finite, which JSON lacks, is null."""
        return {name: _finite(value) for name, value in asdict(self).items() if value is not None}


@dataclass
class Counters:
    """Sums and records over steps and resumes; plain numbers, so that a checkpoint can contain them.

    Example:
        >>> counters = Counters()
        >>> step = counters.count(step=1, loss=2.0, learning_rate=0.1, grad_norm=1.0, tokens=30, supervised_tokens=10,
        ...     seconds=0.5, memory={"active_bytes": 1, "cache_bytes": 0, "peak_bytes": 2})
        >>> step.tokens_per_second, counters.loss_first
        (60.0, 2.0)
    """

    tokens: int = 0
    supervised_tokens: int = 0
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    loss_first: float | None = None
    loss_last: float | None = None
    valid_loss: float | None = None
    best_loss: float | None = None
    best_step: int | None = None
    since_best: int = 0  # validations
    skipped: int = 0
    skipped_in_a_row: int = 0
    restores: int = 0
    rate_factor: float = 1.0
    spikes: int = 0
    recent: list[float] = field(default_factory=list)  # the last losses, for the next step to be judged by

    @property
    def tokens_per_second(self) -> float:
        """Real tokens by wall time of training so far."""
        return round(self.tokens / max(self.seconds, 1e-9), 1)

    def count(
        self,
        *,
        step: int,
        loss: float,
        learning_rate: float,
        grad_norm: float,
        tokens: int,
        supervised_tokens: int,
        seconds: float,
        memory: dict[str, int],
        spike: bool = False,
    ) -> StepMetrics:
        """Adds one step up and gives its metrics."""
        self.tokens += tokens
        self.supervised_tokens += supervised_tokens
        self.seconds += seconds
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory["peak_bytes"])
        sound = math.isfinite(loss) and math.isfinite(grad_norm)
        if sound:
            self.loss_first = loss if self.loss_first is None else self.loss_first
            self.loss_last = loss
            self.recent = [*self.recent, loss][-RECENT:]
        self.spikes += spike
        self.skipped += not sound
        self.skipped_in_a_row = 0 if sound else self.skipped_in_a_row + 1
        return StepMetrics(
            step=step,
            loss=loss,
            learning_rate=learning_rate,
            grad_norm=grad_norm,
            tokens=tokens,
            supervised_tokens=supervised_tokens,
            seconds=round(seconds, 6),
            tokens_per_second=self.tokens_per_second,
            active_memory_bytes=memory["active_bytes"],
            cache_memory_bytes=memory["cache_bytes"],
            peak_memory_bytes=self.peak_memory_bytes,
            skipped=None if sound else True,
            spike=spike or None,
        )

    def validated(self, metrics: StepMetrics, valid_loss: float) -> StepMetrics:
        """Adds the validation loss to a step's metrics, and to the counters."""
        self.valid_loss = valid_loss
        if self.best_loss is None or valid_loss < self.best_loss:
            self.best_loss, self.best_step, self.since_best = valid_loss, metrics.step, 0
        else:
            self.since_best += 1
        return replace(metrics, valid_loss=valid_loss)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
