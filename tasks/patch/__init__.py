"""Changing somebody else's code for as long as a `with` lasts: one way, in any order, from one thread at a time."""

from tasks.patch.attributes import original, replaced, wrapped
from tasks.patch.classes import other_class
from tasks.patch.mode import evaluating, uncompiled

__all__ = ["evaluating", "original", "other_class", "replaced", "uncompiled", "wrapped"]
