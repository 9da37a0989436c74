"""The command and the flow `sweep`: forms, bad input in one line, and a real search that is killed and goes on."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.sweep import SWEEPS, check_sweep, sweep
from tasks.errors import ConfigError
from tests.pipelines.conftest import QUICK

ROOT = Path(__file__).resolve().parents[2]
SHORT = [
    *("-m", "pipelines.sweep", "+sweep=rate_and_rank", *QUICK, "orchestrate=false", "sinks=[jsonl]"),
    *("train.steps=6", "train.save_every=2", "sweep.study=test", "sweep.pruner.startup=1", "sweep.budget.trials=4"),
]


def _start(folder: Path, *overrides: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *SHORT, f"sweep.folder={folder}", *overrides],
        cwd=ROOT,
        env={**os.environ, "GRAFTLINE_GPU_LOCK": f"{folder}.lock"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_form_offers_the_sweeps() -> None:
    properties = sweep.parameters.model_dump()["properties"]
    assert properties["sweep"]["enum"] == [*SWEEPS]
    assert "quickstart" in properties["experiment"]["enum"]
    with pytest.raises(ValueError, match="there is no sweep 'rats'; choose from"):
        check_sweep("rats")


def test_a_mistake_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    done = _start(tmp_path / "sweep", "sweep.objective=evaluate.los_after")
    out, said = done.communicate()
    assert (done.returncode, out) == (1, "")
    assert said == (
        "error: sweep.objective=evaluate.los_after: it is no number of report.json; did you mean evaluate.loss_after?\n"
    )
    assert not [*tmp_path.iterdir()]


@pytest.mark.flow
def test_a_real_search_that_is_killed_three_times_goes_on_to_its_total(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"

    def steps() -> int:
        return sum(path.read_text().count("\n") for path in folder.glob("trials/*/metrics.jsonl"))

    for _ in range(3):
        worker, before = _start(folder), steps()
        while worker.poll() is None and steps() < before + 4:
            time.sleep(0.005)
        assert worker.poll() is None, worker.communicate()
        worker.kill()
        worker.communicate()
    last = _start(folder)
    out, said = last.communicate()
    assert last.returncode == 0, said
    assert "going on with trial" in said
    assert "test: 4 trials (" in out
    report = json.loads((folder / "report.json").read_text())
    assert [row["number"] for row in report["trials"]] == [0, 1, 2, 3]
    assert sum(report["states"].values()) == 4
    assert (folder / "best" / "adapter" / "adapters.safetensors").is_file()
    for row in report["trials"]:
        lines = (folder / "trials" / f"{row['number']:04d}" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [*range(1, len(lines) + 1)]
    assert not [*(folder / "workers").iterdir()]


@pytest.mark.flow
def test_ctrl_c_saves_the_trial_and_the_same_command_goes_on(tmp_path: Path) -> None:
    import signal

    folder = tmp_path / "sweep"
    worker = _start(folder, "train.save_every=null", "sweep.budget.trials=1", "train.steps=40")
    metrics = folder / "trials/0000/metrics.jsonl"
    while worker.poll() is None and not (metrics.exists() and metrics.read_text()):
        time.sleep(0.005)
    worker.send_signal(signal.SIGINT)
    _, said = worker.communicate()
    assert worker.returncode == 130, said
    assert "stopped: stopped after step" in said
    last = _start(folder, "train.save_every=null", "sweep.budget.trials=1", "train.steps=40")
    _, said = last.communicate()
    assert last.returncode == 0, said
    assert "going on from step" in (folder / "trials/0000/run.log").read_text()


@pytest.mark.flow
@pytest.mark.filterwarnings("default")
def test_prefect_sees_the_search_its_trials_and_the_report(
    prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client.orchestration import get_client

    for module in ("run.stages", "search.would_fit", "search.same_study"):
        monkeypatch.setattr(f"pipelines.{module}.TOKENS", tmp_path / "tokens")
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))
    short = [o for o in QUICK if not o.startswith("+experiment=")]
    own = [f"sweep.folder={tmp_path / 'sweep'}", "sweep.study=seen", "sweep.budget.trials=2"]
    report = sweep(sweep="rate_and_rank", experiment="quickstart", overrides=[*short, *own])
    assert report["states"] == {"complete": 2}
    with get_client(sync_client=True) as client:
        runs = {run.name: run for run in client.read_flow_runs()}
        trials = [name for name in runs if name.startswith("trial ") and "optim.lr=" in name]
        page = next(artifact for artifact in client.read_artifacts() if artifact.key == "sweep")
    assert len(trials) >= 2
    assert any(name.startswith("rate_and_rank quickstart ") for name in runs)
    assert str(page.data).count("data:image/svg+xml;base64,") == 3


@pytest.mark.flow
@pytest.mark.filterwarnings("default")
def test_prefect_refuses_what_a_form_must_not_reach(prefect_server: None) -> None:
    with pytest.raises(ConfigError, match="not allowed here"):
        sweep(sweep="rate_and_rank", overrides=["hydra.run.dir=/tmp"])
