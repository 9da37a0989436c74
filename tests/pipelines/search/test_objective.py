"""The objective is any number of a real report, and nothing else."""

from collections.abc import Callable
from typing import Any

from pipelines.config import compose
from pipelines.run.stages import run_stages
from pipelines.search.objective import fields, value_of


def _numbers(node: Any, prefix: str = "") -> set[str]:
    if isinstance(node, dict):
        return {name for key, value in node.items() for name in _numbers(value, f"{prefix}.{key}" if prefix else key)}
    return {prefix} if isinstance(node, int | float) and not isinstance(node, bool) else set()


def test_the_names_are_those_of_a_report(quick: Callable[..., list[str]]) -> None:
    overrides = quick()
    report = run_stages(compose(overrides), overrides, lambda stage: stage.fn)
    absent = {"train.resumed_from"}  # null in a run that was not stopped
    assert {*fields()} - absent == _numbers(report)
    for name in {*fields()} - absent:
        assert value_of(report, name) is not None, name


def test_what_is_no_number_has_no_value() -> None:
    report = {"status": "verified", "verify": {"passed": True}, "evaluate": {"metric_after": None}}
    for name in ("status", "verify.passed", "evaluate.metric_after", "evaluate.nothing", "status.deeper"):
        assert value_of(report, name) is None
