"""Memory: the limits of the allocator as a context manager that restores them, and what is in use."""

from tasks.memory.limits import GB, Checkpoint, Memory, limits
from tasks.memory.usage import usage

__all__ = ["GB", "Checkpoint", "Memory", "limits", "usage"]
