"""The weights that a row asks for: of itself as a whole, of single messages, and of parts of a text."""

from typing import Any

from tasks.data.format.json_kind import kind_of
from tasks.data.format.message import Span
from tasks.errors import DataError

# Weights are kept as float32, which would make less of a tiny one nothing, and of a huge one infinity.
_LEAST, _MOST = 1e-6, 1e6

FLAGS = {"train": True, "training": True, "trainable": True, "train_on_turn": True, "loss": True, "masked": False}
"""The keys by which a message is trained on or not (ours first, then those of other tools), and what true means."""


def row_weight(row: dict[str, Any]) -> float:
    """Reads the weight of a row, by which the weights of all its targets are multiplied; 1 where it has none.

    Raises:
        DataError: no number, or one out of range.

    Example:
        >>> row_weight({"text": "a", "weight": 0.5}), row_weight({"text": "a"})
        (0.5, 1.0)
    """
    return 1.0 if (weight := row.get("weight")) is None else _number(weight, "the row")


def read_weight(item: dict[str, Any], where: str) -> float | None:
    """Reads the weight that a message asks for itself, by `weight` or by one of FLAGS; None where by neither.

    Args:
        item: the message.
        where: its place in the row, for errors.

    Raises:
        DataError: a value that is no number or flag, or two flags that contradict each other.

    Example:
        >>> read_weight({"weight": 0.5}, "messages[1]"), read_weight({"training": False}, "messages[1]")
        (0.5, 0.0)
    """
    asked = {key: _flag(item[key], key, where) for key in FLAGS if item.get(key) is not None}
    if len(set(asked.values())) > 1:
        shown = ", ".join(f"'{key}' is {item[key]!r}" for key in asked)
        raise DataError(f"{where}: {shown}, which contradict each other; data.ignore=[KEY] leaves one out")
    number = None if item.get("weight") is None else _number(item["weight"], where)
    trained = next(iter(asked.values()), None)
    if trained is False:
        return 0.0
    return number if number is not None else 1.0 if trained else None


def read_spans(value: Any, length: int, where: str) -> tuple[Span, ...] | None:
    """Reads the parts of a text, or of a list of token ids, that a row names as targets by `spans`.

    Args:
        value: a list of [start, stop] or [start, stop, weight], counted from 0, `stop` not included; or None.
        length: of the text in characters, or of the list in tokens.
        where: what it belongs to, for errors.

    Raises:
        DataError: not such a list, or a span that is empty or ends behind the text.

    Example:
        >>> read_spans([[0, 2], [3, 5, 0.5]], 5, "text")
        ((0, 2, 1.0), (3, 5, 0.5))
    """
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not value:
        raise DataError(f"{where}: 'spans' is {kind_of(value)}; write a list of [start, stop] or [start, stop, weight]")
    out = []
    for n, span in enumerate(value):
        edges = span[:2] if isinstance(span, list | tuple) and len(span) in (2, 3) else ()
        if len(edges) != 2 or not all(isinstance(edge, int) and not isinstance(edge, bool) for edge in edges):
            raise DataError(f"{where}: spans[{n}] is {span!r:.40}; write [start, stop] or [start, stop, weight]")
        if not 0 <= edges[0] < edges[1] <= length:
            raise DataError(f"{where}: spans[{n}] is {edges[0]} to {edges[1]}; it must lie in 0 to {length}")
        out.append((edges[0], edges[1], _number(span[2], where) if len(span) == 3 else 1.0))
    return tuple(out)


def _flag(value: Any, key: str, where: str) -> bool:
    # A table keeps another tool's flags as 0 and 1.
    if not isinstance(value, bool) and (key == "train" or not isinstance(value, int) or value not in (0, 1)):
        raise DataError(
            f"{where}: {key!r} is {value!r:.40}; it must be true or false (write 'weight' for a number, or say "
            f"data.ignore=[{key}])"
        )
    return bool(value) is FLAGS[key]


def _number(weight: Any, where: str) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise DataError(f"{where}: 'weight' is {weight!r:.40}; it must be a number")
    if weight < 0:
        raise DataError(f"{where}: 'weight' is {weight}; it must be finite and not negative")
    if not (weight == 0 or _LEAST <= weight <= _MOST):
        raise DataError(f"{where}: 'weight' is {weight!r:.40}; it must be 0, or from {_LEAST} to {_MOST:.0f}")
    return float(weight)
