"""The verify command: any adapter directory, from disk only; a damaged one fails by the name of its tensor."""

from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

import pipelines.evaluate
import pipelines.verify
from pipelines.config import compose
from pipelines.run.stages import run_stages
from tasks.errors import ConfigError, VerifyError


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


@pytest.mark.flow
@pytest.mark.filterwarnings("default")  # Prefect's server and its SQL driver warn in their own threads
def test_the_flows_of_the_forms_leave_a_page(adapter: Path, prefect_server: None) -> None:
    from prefect.client.orchestration import get_client

    rows = adapter.parent / "it's, held out.jsonl"
    rows.write_bytes(Path("examples/starter/valid.jsonl").read_bytes())
    scores = pipelines.evaluate.evaluate(str(adapter), str(rows), ["evaluate.generate=2", "evaluate.examples=8"])
    assert (scores["examples"], scores["answered"]) == (8, 2)
    assert pipelines.verify.verify(str(adapter), ["verify=quick"])["passed"]
    with get_client(sync_client=True) as client:
        pages = {artifact.key: str(artifact.data) for artifact in client.read_artifacts()}
        names = {run.name for run in client.read_flow_runs()}
    assert f"| loss, nats a token | {scores['loss_before']:.4f} | {scores['loss_after']:.4f} |" in pages["scores"]
    assert "## Held-out answers" in pages["scores"]
    assert "| reload_logits | passed |" in pages["verdict"]
    run = f"{adapter.parent.parent.name}/{adapter.parent.name}"
    assert names >= {f"{run} on {rows.name}", run}
    for form in (
        lambda o: pipelines.verify.verify(str(adapter), o),
        lambda o: pipelines.evaluate.evaluate(str(adapter), "x", o),
    ):
        with pytest.raises(ConfigError, match="not allowed here: it calls a resolver"):
            form(["model.path=${oc.env:HOME}"])
    with pytest.raises(ConfigError, match="not allowed here: it calls a resolver"):
        pipelines.evaluate.evaluate(str(adapter), "${oc.env:HOME}")


def test_a_damaged_adapter_fails_by_name(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = adapter / "adapters.safetensors"
    arrays = mx.load(str(path))
    assert isinstance(arrays, dict)
    name = sorted(arrays)[3]
    mx.save_safetensors(str(path), {**arrays, name: arrays[name] + 1e-3})
    with pytest.raises(VerifyError, match=rf"files: adapters\.safetensors: other bytes .*{name}"):
        pipelines.verify.main([f"adapter={adapter}"])
    assert "failed" in capsys.readouterr().out
