"""Memory: its settings, the allocator's limits, and the bytes in use."""

from tasks.memory.limits import GB, Checkpoint, Memory, limits
from tasks.memory.usage import begin_peak, usage

__all__ = ["GB", "Checkpoint", "Memory", "begin_peak", "limits", "usage"]
