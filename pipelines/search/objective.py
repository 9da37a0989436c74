"""Lists the possible objectives of a search, the numbers of report.json, before there is a report; reads one."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel


def fields() -> list[str]:
    """The dotted names of the numbers of report.json that a search can go by."""
    from tasks.adapter import Adapter
    from tasks.data import SplitStats
    from tasks.evaluate import Scores
    from tasks.plan import Plan
    from tasks.train import Trained

    data = {*_numbers(SplitStats)} & {"examples", "tokens", "supervised_tokens"}
    parts = {
        "data": {*data, *({*_numbers(Plan)} & {"padding_share"}), "dropped"},
        "adapter": _numbers(Adapter),
        "train": _numbers(Trained),
        "evaluate": _numbers(Scores),
    }
    return ["seconds", *(f"{part}.{name}" for part, names in parts.items() for name in sorted(names))]


def value_of(report: dict[str, Any], name: str) -> float | None:
    """The number of a report by its dotted name; None where this report has none.

    Example:
        >>> value_of({"evaluate": {"loss_after": 1.5}}, "evaluate.loss_after")
        1.5
    """
    value: Any = report
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _numbers(record: type[BaseModel]) -> Iterator[str]:
    for name, field in record.model_fields.items():
        kinds = {*(get_args(field.annotation) or (field.annotation,))}
        if kinds <= {int, float, type(None)} and kinds != {type(None)}:
            yield name
