"""Changing somebody else's code for as long as a `with` lasts."""

from tasks.patch.classes import other_class

__all__ = ["other_class"]
