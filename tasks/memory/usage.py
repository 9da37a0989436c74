"""How much memory MLX holds now and held at most.

The peak excludes the allocator's cache, so what a process really takes is active + cache; both are reported.
"""

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
