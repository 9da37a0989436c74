"""Names of JSON for the values of a row."""

from typing import Any

KINDS = {bool: "boolean", int: "number", float: "number", str: "string", list: "list", tuple: "list", dict: "object"}


def kind_of(value: Any) -> str:
    """Names the kind of a value, for an error's message.

    Example:
        >>> kind_of(3), kind_of({}), kind_of(["a"]), kind_of(None)
        ('a number', 'an empty object', 'a list', 'missing or null')
    """
    if value is None:
        return "missing or null"
    kind = KINDS.get(type(value), type(value).__name__)
    if isinstance(value, str | list | tuple | dict) and not value:
        return f"an empty {kind}"
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
