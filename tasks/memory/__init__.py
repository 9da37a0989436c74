"""Memory: the allocator's limits, what is in use, and what a graph will hold at most when it is evaluated."""

from tasks.memory.limits import GB, Checkpoint, Memory, limits
from tasks.memory.usage import begin_peak, usage

__all__ = ["GB", "Checkpoint", "Memory", "begin_peak", "limits", "usage"]
