"""How much memory there is for a run: what a Mac recommends, the GPU's own, or the machine's, as its container says."""

import os
from pathlib import Path
from typing import Any

import mlx.core as mx

from tasks.device.backend import kind

CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux reports a container's limit, version 2 and version 1."""


def device_memory() -> int:
    """Bytes that a run may take where nothing else is said.

    On Metal what the system recommends as a working set; on CUDA the device's memory; on a CPU the physical memory, or
    the container's limit where that is less.

    Example:
        >>> device_memory() > 10**8
        True
    """
    info: dict[str, Any] = mx.device_info()
    if kind() == "gpu":
        size = info.get("max_recommended_working_set_size") or info.get("total_memory") or info.get("memory_size")
        if size:
            return int(size)
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *map(_limit, CGROUPS))


def _limit(path: Path) -> int:
    try:
        text = path.read_text().strip()
    except OSError:
        return 2**63
    return int(text) if text.isdigit() else 2**63
