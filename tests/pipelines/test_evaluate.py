"""The evaluate command says what it needs; its figures are tested beside verify, on one trained adapter."""

from pathlib import Path

import pytest

from pipelines.command.adapter_argument import with_adapter
from tasks.errors import ConfigError


def test_it_wants_rows_to_evaluate_on(tmp_path: Path) -> None:
    for name in ("adapter_config.json", "adapters.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=r"data\.valid=FILE"):
        with_adapter([f"adapter={tmp_path}", "model.path=examples/starter/model"], held_out=True)
