"""A raw row that remembers which of its columns a format asked for, so that those it did not can be named."""

from typing import Any


def filled(value: Any) -> bool:
    """Tells a value that says something from null and from an empty string, list or object.

    Example:
        >>> [filled(value) for value in (None, "", [], 0, False, " ")]
        [False, False, False, True, True, True]
    """
    return value is not None and not (isinstance(value, str | list | tuple | dict) and not value)


class Row(dict[str, Any]):
    """A row whose columns are noted as they are read by `row[name]` or `row.get(name)`.

    Attributes:
        asked: the names that were read so far, present or not.

    Example:
        >>> row = Row({"text": "a", "id": 3})
        >>> row.get("text"), row.asked
        ('a', {'text'})
    """

    def __init__(self, columns: dict[str, Any]):
        super().__init__(columns)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Reads a column; gives `default` where there is no such column."""
        self.asked.add(name)
        return super().get(name, default)
