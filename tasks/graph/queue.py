"""How far MLX runs ahead of the device: an array is freed only when the device has run what reads it.

MLX hands over operations in groups and lets some groups wait. What an operation reads is kept until its group is
through, so a step takes more than its arrays need, by what a few hundred operations have made. The figures are those
of MLX (RULES_OF); they are constants of its code and its environment variables, nothing is fitted.
"""

import os
from typing import NamedTuple

from tasks.errors import ConfigError

WAITING = 10
"""Groups that wait before MLX waits for one (MAX_ACTIVE_TASKS)."""

UNSURE = 3
"""More groups, for a step that is not compiled: the exported graph drops no-ops and merges equal views, which shifts
evaluation by up to this many (tests/bench/memory_model.py)."""


class Queue(NamedTuple):
    """The groups of a backend.

    Attributes:
        size: dispatches, or kernels, in a group.
        elements: that the operations of a group read, together, at most; None has no such bound.
        views: whether an operation without a kernel of its own counts too.
        waiting: groups that wait, beside the one that is open.
        sums: whether a product is summed onto what it is added to, in that one's buffer.
    """

    size: int
    elements: int | None = None
    views: bool = False
    waiting: int = WAITING
    sums: bool = False


QUEUES = {
    "cpu": Queue(size=10, views=True, waiting=WAITING + UNSURE, sums=True),
    "cuda": Queue(size=100, elements=1000 << 20),
    "metal": Queue(size=50, elements=50 << 20),
}
"""CUDA: a data-centre GPU of compute capability 9 or 10, as MLX has it; others have smaller groups, and so take less.
`tasks.device.kernel_groups` makes them smaller on all. Metal: its largest."""


NONE = Queue(size=1, waiting=-1)
"""No queue: MLX waits after each operation. A step then takes only what it cannot do without."""


def queue_of(backend: str) -> Queue:
    """The groups of `cpu`, `cuda` or `metal`, as MLX_MAX_OPS_PER_BUFFER and MLX_MAX_MB_PER_BUFFER change them.

    Raises:
        ConfigError: one of these is no whole number.

    Example:
        >>> queue_of("cpu").size
        10
    """
    queue = QUEUES[backend]
    if backend == "cpu":
        return queue
    size = _number("MLX_MAX_OPS_PER_BUFFER", queue.size)
    elements = _number("MLX_MAX_MB_PER_BUFFER", (queue.elements or 0) >> 20) << 20
    return queue._replace(size=size, elements=elements)


def _number(variable: str, otherwise: int) -> int:
    said = os.environ.get(variable, str(otherwise))
    if not said.isdecimal():
        raise ConfigError(
            f"the environment's {variable} is {said!r}; give a whole number, such as {otherwise}, or unset it"
        )
    return int(said)
