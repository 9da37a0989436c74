"""The checks of a verdict: each takes a Subject, an adapter on disk, and returns whether it passed and what it saw.

To add one, write its file with a `check` function and its test, and name it in `Check` of tasks/settings.py.
"""

from collections.abc import Callable
from importlib import import_module
from typing import get_args

from tasks.check.subject import Finding, Subject
from tasks.settings import Check

CHECKS: dict[Check, Callable[[Subject], Finding]] = {
    name: import_module(f"tasks.check.{name}").check for name in get_args(Check)
}
"""The checks by name, read off `Check`: a configuration is decoded by its names before anything heavy is imported."""

__all__ = ["CHECKS", "Finding", "Subject"]
