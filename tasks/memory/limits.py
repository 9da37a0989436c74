"""Memory settings, and the allocator's limits: set for a block of code and put back after it.

MLX's limits are global to the process, so a run that sets them must not leave them to the next one. The memory
limit is back-pressure, not an error: above it MLX waits for running work and frees its cache before allocating.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import mlx.core as mx
from pydantic import BeforeValidator, Field

from tasks.artifact import Record
from tasks.device.backend import backend
from tasks.device.capacity import device_memory
from tasks.errors import ConfigError

GB = 10**9
"""Bytes in a gigabyte; decimal, as in every figure that Graftline prints."""


def _granularity(value: Any) -> Any:
    if value in ("none", "attention", "mlp", "all") or (type(value) is int and value >= 2):
        return value
    raise ValueError("choose from none, attention, mlp, all, or a number k of at least 2 for every k-th block")


Checkpoint = Annotated[Literal["none", "attention", "mlp", "all"] | int, BeforeValidator(_granularity)]
"""The parts that are computed again in the backward pass; `tasks.grad.recomputed` says which modules that is."""


class Memory(Record):
    """The memory that a run may take, and how it is spent: `conf/memory/*.yaml`.

    Attributes:
        checkpoint: gradient checkpointing: "none" keeps every activation for the backward pass; "all" keeps what goes
            into each block and computes the rest again, one block at a time, for about a third more time;
            "attention" and "mlp" do so with that part of each block; a number k with every k-th block, the first
            among them.
        base: how a quantized base is stored while training lasts: `quantized` keeps it packed and unpacks each matrix
            for its use; `dequantized` keeps dense matrices of equal weights, which saves the unpacking and takes the
            memory of a base without quantization; `auto` keeps dense ones where they fit in two fifths of the device's
            memory.
        head_chunk: the most positions whose logits are alive at a time, of those that the loss counts; None computes
            the logits of every position at once.
        limit_gb: the budget: a run whose training needs more is refused before a weight is read, and MLX holds
            allocations back above it; None takes what the device recommends and leaves MLX its own default.
        auto: whether the plan chooses what is above, the micro-batch and the accumulation, so that the run is the
            fastest that keeps to the budget; a step still takes as many tokens.
        cache_gb: how much freed memory MLX keeps for reuse, not counted in its peak; None keeps the default, 0 none.
        wired_gb: how much memory macOS keeps resident (macOS 15 or later); no effect on other systems.
    """

    checkpoint: Checkpoint = "none"
    base: Literal["quantized", "dequantized", "auto"] = "auto"
    head_chunk: int | None = Field(default=1024, ge=1)
    limit_gb: float | None = Field(default=None, gt=0)
    cache_gb: float | None = Field(default=None, ge=0)
    wired_gb: float | None = Field(default=None, ge=0)
    auto: bool = False

    @property
    def budget(self) -> int:
        """Bytes that training may take.

        Example:
            >>> Memory(limit_gb=2.5).budget
            2500000000
        """
        return device_memory() if self.limit_gb is None else int(self.limit_gb * GB)

    @property
    def budget_text(self) -> str:
        """The budget and where it comes from, for a message.

        Example:
            >>> Memory(limit_gb=2.5).budget_text
            '2.5 GB (memory.limit_gb)'
        """
        source = "memory.limit_gb" if self.limit_gb is not None else "what this device has; set memory.limit_gb"
        return f"{self.budget / GB:.3g} GB ({source})"


@contextmanager
def limits(memory: Memory) -> Iterator[None]:
    """Sets the limits that `memory` names and restores the previous ones on leaving, exceptions included.

    Raises:
        ConfigError: `wired_gb` is more than this Mac lets be wired.

    Example:
        >>> with limits(Memory(cache_gb=0.5)):
        ...     cached = mx.set_cache_limit(500_000_000)
        >>> cached
        500000000
    """
    wanted = [
        (mx.set_memory_limit, memory.limit_gb),
        (mx.set_cache_limit, memory.cache_gb),
        (mx.set_wired_limit, _wired_gb(memory)),
    ]
    previous = []
    try:
        for setter, gigabytes in wanted:
            if gigabytes is not None:
                previous.append((setter, setter(int(gigabytes * GB))))
        yield
    finally:
        for setter, before in reversed(previous):
            setter(before)


def _wired_gb(memory: Memory) -> float | None:
    if memory.wired_gb is None or backend() != "metal":
        return None
    most = int(mx.device_info()["max_recommended_working_set_size"])
    if memory.wired_gb * GB > most:
        raise ConfigError(
            f"memory.wired_gb is {memory.wired_gb}, this Mac allows {most / GB:.1f}; lower it, or raise the system's "
            "limit with: sudo sysctl iogpu.wired_limit_mb=..."
        )
    return memory.wired_gb
