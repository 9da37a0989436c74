"""Measures the memory that MLX's arrays take now and took at most.

The peak excludes the allocator's cache, so what a process really takes is active + cache; both are reported.
"""

import gc
from collections.abc import Iterable

import mlx.core as mx


def usage() -> dict[str, int]:
    """Bytes of live arrays, of the allocator's cache, and of arrays at most since `mx.reset_peak_memory()`.

    Example:
        >>> sorted(usage())
        ['active_bytes', 'cache_bytes', 'peak_bytes']
    """
    return {
        "active_bytes": mx.get_active_memory(),
        "cache_bytes": mx.get_cache_memory(),
        "peak_bytes": mx.get_peak_memory(),
    }


def begin_peak(counted: Iterable[mx.array]) -> int:
    """Starts a measurement; returns the bytes of all other arrays, to be taken off `mx.get_peak_memory()` at its end.

    Args:
        counted: arrays that the measurement counts, such as a model's; lazy ones are computed first.

    Example:
        >>> elsewhere, counted = mx.zeros(10**6), mx.zeros(1000)
        >>> mx.eval(elsewhere)
        >>> others = begin_peak([counted])
        >>> mx.eval(counted + 1)
        >>> 8_000 <= mx.get_peak_memory() - others < 100_000
        True
    """
    gc.collect()
    arrays = {id(array): array for array in counted}
    for array in arrays.values():  # one by one, or what they are made from would be there at once
        mx.eval(array)
    mx.synchronize()
    mx.clear_cache()
    mx.reset_peak_memory()
    return mx.get_active_memory() - sum(array.nbytes for array in arrays.values())
