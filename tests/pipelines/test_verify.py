"""The verify command: any adapter directory, from disk only; a damaged one fails by the name of its tensor."""

from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

import pipelines.evaluate
import pipelines.verify
from pipelines.config import compose
from pipelines.finetune import run_stages
from tasks.errors import VerifyError


@pytest.fixture
def adapter(quick: Callable[..., list[str]], tmp_path: Path) -> Path:
    run_stages(compose(quick()), [], lambda stage: stage.fn)
    return tmp_path / "run/adapter"


def test_verify_and_evaluate_from_disk(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipelines.verify.main([f"adapter={adapter}"])
    assert capsys.readouterr().out.count("passed") == 7
    pipelines.evaluate.main([f"adapter={adapter}", "data.valid=examples/starter/valid.jsonl", "evaluate.generate=2"])
    shown = capsys.readouterr().out
    assert "64 valid examples" in shown
    assert "exact_match of 2" in shown


def test_a_damaged_adapter_fails_by_name(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = adapter / "adapters.safetensors"
    arrays = mx.load(str(path))
    assert isinstance(arrays, dict)
    name = sorted(arrays)[3]
    mx.save_safetensors(str(path), {**arrays, name: arrays[name] + 1e-3})
    with pytest.raises(VerifyError, match=rf"files: adapters.safetensors.*{name} holds other bytes"):
        pipelines.verify.main([f"adapter={adapter}"])
    assert "failed" in capsys.readouterr().out
