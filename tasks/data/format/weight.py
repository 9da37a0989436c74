"""The weights that a row asks for: of itself as a whole, and of single messages."""

from typing import Any

from tasks.errors import DataError

# Weights are kept as float32, which would make less of a tiny one nothing, and of a huge one infinity.
_LEAST, _MOST = 1e-6, 1e6


def row_weight(row: dict[str, Any]) -> float:
    """The weight of a row, by which those of all its targets are multiplied: its `weight`; 1 where it has none.

    Example:
        >>> row_weight({"text": "a", "weight": 0.5}), row_weight({"text": "a"})
        (0.5, 1.0)
    """
    return 1.0 if row.get("weight") is None else _number(row["weight"], "the row")


def read_weight(item: dict[str, Any], where: str) -> float | None:
    """What a message asks for itself by `weight` or `train`; None where by neither.

    Example:
        >>> read_weight({"weight": 0.5}, "messages[1]"), read_weight({"train": False}, "messages[1]")
        (0.5, 0.0)
    """
    train, weight = item.get("train"), item.get("weight")
    if train is not None and not isinstance(train, bool):
        raise DataError(f"{where}: 'train' is {train!r}; it must be true or false")
    number = None if weight is None else _number(weight, where)
    if train is False:
        return 0.0
    return number if number is not None else 1.0 if train else None


def _number(weight: Any, where: str) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise DataError(f"{where}: 'weight' is {weight!r:.40}; it must be a number")
    if weight < 0:
        raise DataError(f"{where}: 'weight' is {weight}; it must be finite and not negative")
    if not (weight == 0 or _LEAST <= weight <= _MOST):
        raise DataError(f"{where}: 'weight' is {weight!r:.40}; it must be 0, or from {_LEAST} to {_MOST:.0f}")
    return float(weight)
