"""How much memory MLX holds now and held at most.

The peak excludes the allocator's cache, so what a process really takes is active + cache; both are reported.
"""

import gc
from collections.abc import Iterable

import mlx.core as mx


def usage() -> dict[str, int]:
    """Bytes held by live arrays, by the allocator's cache, and at most by arrays since `mx.reset_peak_memory()`.

    Example:
        >>> sorted(usage())
        ['active_bytes', 'cache_bytes', 'peak_bytes']
    """
    return {
        "active_bytes": mx.get_active_memory(),
        "cache_bytes": mx.get_cache_memory(),
        "peak_bytes": mx.get_peak_memory(),
    }


def begin_peak(own: Iterable[mx.array]) -> int:
    """Starts a measurement: what else the process holds, in bytes, to be taken off `mx.get_peak_memory()` at its end.

    Args:
        own: arrays that the measurement counts, such as a model's; those that are lazy yet are computed.

    Example:
        >>> elsewhere, own = mx.zeros(10**6), mx.zeros(1000)
        >>> mx.eval(elsewhere)
        >>> others = begin_peak([own])
        >>> mx.eval(own + 1)
        >>> 8_000 <= mx.get_peak_memory() - others < 100_000
        True
    """
    gc.collect()
    counted = {id(array): array for array in own}
    for array in counted.values():  # one by one, or what they are made from would be there at once
        mx.eval(array)
    mx.synchronize()
    mx.clear_cache()
    mx.reset_peak_memory()
    return mx.get_active_memory() - sum(array.nbytes for array in counted.values())
