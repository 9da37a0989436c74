"""Overrides for other eyes: a password in one is put away in this process, and comes back where it is needed."""

from collections.abc import Sequence

from tasks.errors import hide_secrets

_WHOLE: dict[str, str] = {}


def without_secrets(overrides: Sequence[str]) -> list[str]:
    """The overrides as they may be written down, such as into the parameters of a flow run.

    Example:
        >>> shown = without_secrets(["sweep.storage=postgresql://me:pa55word@host/db", "lora.rank=4"])
        >>> shown, with_secrets(shown)[0]
        (['sweep.storage=postgresql://me:***@host/db', 'lora.rank=4'], 'sweep.storage=postgresql://me:pa55word@host/db')
    """
    shown = [hide_secrets(override) for override in overrides]
    _WHOLE.update({hidden: whole for hidden, whole in zip(shown, overrides, strict=True) if hidden != whole})
    return shown


def with_secrets(overrides: Sequence[str]) -> list[str]:
    """The overrides as they were typed in this process."""
    return [_WHOLE.get(override, override) for override in overrides]
