"""Predictions follow one version of MLX, and another one is said."""

import logging
import tomllib
from pathlib import Path

import mlx.core as mx
import pytest

from tasks.graph.mlx_version import RULES_OF
from tasks.graph.trace import trace


def _trace() -> None:
    trace(lambda x: [mx.exp(x)], mx.zeros((2,)))


def test_the_rules_are_those_of_the_mlx_that_is_installed_and_asked_for() -> None:
    """Where this fails: measure with tests/bench/memory_model.py, mend tasks/graph, then change RULES_OF."""
    assert mx.__version__ == RULES_OF  # pyright: ignore[reportAttributeAccessIssue]
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert f"mlx=={RULES_OF}" in project["dependencies"]


def test_another_mlx_is_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _trace()
    assert not caplog.messages
    monkeypatch.setattr(mx, "__version__", "0.99.0")
    for _ in range(2):
        _trace()
    (message,) = caplog.messages
    assert message == (
        f"memory is predicted by the rules of MLX {RULES_OF}, you have 0.99.0: predictions may be off; "
        f"install mlx=={RULES_OF}"
    )
