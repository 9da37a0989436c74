"""The whole path on the starter model: every file of a run directory, resumed, repeated, and seen by Prefect."""

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import pipelines.finetune as module
from pipelines.config import EXPERIMENTS, compose
from pipelines.config.put_away import with_secrets
from pipelines.finetune import finetune
from pipelines.run.stages import run_stages
from tasks.errors import ConfigError, Interrupted, VerifyError

Quick = Callable[..., list[str]]


def _plain(overrides: list[str]) -> dict[str, Any]:
    return run_stages(compose(overrides), overrides, lambda stage: stage.fn)


def test_a_run_leaves_every_file_of_the_contract(quick: Quick, tmp_path: Path) -> None:
    report = _plain(quick("verify=full"))
    folder = tmp_path / "run"
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names >= {
        "config.yaml",
        "manifest.json",
        "plan.json",
        "tokens.html",
        "metrics.jsonl",
        "run.log",
        "loss.svg",
        "report.md",
        "report.json",
        "adapter/adapters.safetensors",
        "adapter/adapter_config.json",
        "adapter/manifest.json",
        "checkpoints/step-000003/manifest.json",
    }
    assert not [name for name in names if name.endswith((".tmp", ".lock"))]
    assert report == json.loads((folder / "report.json").read_text())
    assert report["status"] == "verified"
    assert [check["name"] for check in report["verify"]["checks"]] == yaml.safe_load(
        (folder / "config.yaml").read_text()
    )["verify"]["checks"]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert ["valid_loss" in line for line in lines] == [False, True, True]
    assert report["train"]["tokens"] == sum(line["tokens"] for line in lines)
    assert report["train"]["loss_last"] == lines[-1]["loss"]
    assert report["train"]["loss_first"] == lines[0]["loss"]
    assert len(report["evaluate"]["samples"]) == 4
    page = (folder / "report.md").read_text()
    assert "![loss](loss.svg)" in page
    assert "(tokens.html)" in page
    assert "| reload_logits | passed |" in page


@pytest.mark.flow
def test_a_base_whose_eos_ends_no_turn_learns_to_stop(quick: Quick, tmp_path: Path) -> None:
    """As every base model with a ChatML template has it: the quickstart's answers end with another token."""
    folder = Path(shutil.copytree("examples/starter/model", tmp_path / "model"))
    changes = {"eos_token": "<|endoftext|>", "eos_token_id": 733}
    for name in ("tokenizer_config.json", "config.json", "generation_config.json"):
        known = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**known, **{k: v for k, v in changes.items() if k in known}}))
    report = _plain(
        [*quick(f"model.path={folder}", "train.steps=120", "train.eval_every=120"), "evaluate.max_new_tokens=64"]
    )
    assert report["evaluate"]["metric_after"] == 1.0
    agreed = json.loads((tmp_path / "run/plan.json").read_text())
    assert agreed["stop_at"] == report["adapter"]["stop_at"] == ["<|im_end|>"]
    assert "never ends an answer of these rows" in agreed["notes"][0]
    assert json.loads((tmp_path / "run/adapter/manifest.json").read_text())["answer_ends"] == ["<|im_end|>"]
    assert "; a server must be given" in (tmp_path / "run/report.md").read_text()


@pytest.mark.parametrize(("stage", "check"), [("answers", None), ("held_out_loss", None), (None, "reload_logits")])
def test_what_a_later_stage_cannot_do_leaves_the_report(
    stage: str | None, check: Any, quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.check import CHECKS

    def fails(*_: Any, **__: Any) -> Any:
        raise ValueError("[broadcast_shapes] Shapes cannot be broadcast.")

    if stage is not None:
        monkeypatch.setattr(f"tasks.evaluate.{stage}", fails)
        monkeypatch.setattr("tasks.evaluate._OF_BASES", {})
    if check is not None:
        monkeypatch.setitem(CHECKS, check, fails)
    report = _plain(quick())
    assert report["train"]["steps"] == 3
    assert (tmp_path / "run/report.md").exists()
    if stage is not None:
        assert report["status"] == "verified"
        assert "## Not measured" in (tmp_path / "run/report.md").read_text()
        assert "[broadcast_shapes]" in report["evaluate"]["problems"][0]
    else:
        assert report["status"] == "failed"
        assert "the check itself failed (ValueError: [broadcast_shapes]" in report["verify"]["checks"][1]["detail"]


def test_the_report_has_the_keys_of_the_contract(quick: Quick) -> None:
    report = _plain(quick())
    wanted = {
        "data": {"examples", "dropped", "tokens", "supervised_tokens", "padding_share"},
        "adapter": {"path", "sha256", "parameters", "modules", "rank", "scale"},
        "train": {
            *("steps", "tokens", "supervised_tokens", "seconds", "tokens_per_second"),
            *("loss_first", "loss_last", "peak_memory_bytes", "resumed_from"),
        },
        "evaluate": {"loss_before", "loss_after", "metric", "metric_before", "metric_after", "samples"},
        "verify": {"passed", "checks"},
    }
    assert set(report) >= {"name", "status", "seconds", "run_dir", *wanted}
    for part, keys in wanted.items():
        assert set(report[part]) >= keys, part


def test_same_seed_same_bytes_and_another_seed_others(quick: Quick, tmp_path: Path) -> None:
    def digest(place: str, *more: str) -> str:
        return _plain([*quick(*more), f"run_dir={tmp_path / place}"])["adapter"]["sha256"]

    first = digest("a", "lora.dropout=0.1")
    assert digest("b", "lora.dropout=0.1") == first
    assert digest("c", "lora.dropout=0.1", "seed=1") != first


def test_a_stopped_run_goes_on_to_the_same_bytes(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    from tasks.sink import Jsonl

    write = Jsonl.write

    def write_and_stop(self: Jsonl, metrics: Any) -> None:
        write(self, metrics)
        if metrics.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    four = [*quick("lora.dropout=0.1", "train.steps=4"), f"run_dir={tmp_path / 'stopped'}"]
    reference = _plain([*four, f"run_dir={tmp_path / 'four'}"])
    with monkeypatch.context() as patch:
        patch.setattr(Jsonl, "write", write_and_stop)
        with pytest.raises(Interrupted, match="after step 2 of 4") as caught:
            _plain(four)
    assert caught.value.signum == signal.SIGTERM
    resumed = _plain(four)
    assert resumed["train"]["resumed_from"] == 2
    assert resumed["adapter"]["sha256"] == reference["adapter"]["sha256"]
    lines = (tmp_path / "stopped/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


@pytest.mark.flow
@pytest.mark.filterwarnings("default")
def test_a_run_whose_window_closes_is_paused_and_the_next_one_goes_on(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None
) -> None:
    import time
    from types import SimpleNamespace

    from prefect.client.schemas.objects import StateType

    import pipelines.run.run_dir
    import pipelines.run.stages
    import pipelines.run.within
    import tasks.checkpoint.interrupt
    from tasks.sink import Jsonl

    began, ahead, write = time.time(), 0.0, Jsonl.write
    clock = SimpleNamespace(time=lambda: time.time() + ahead, strftime=time.strftime)
    for each in (pipelines.run.within, tasks.checkpoint.interrupt):
        monkeypatch.setattr(each, "time", clock)
    for each in (pipelines.run.stages, pipelines.run.run_dir):
        monkeypatch.setattr(each, "OUTPUTS", tmp_path / "outputs")
    hours = [time.strftime("%H:%M:%S", time.gmtime(began + seconds)) for seconds in (-3600, 3600)]
    night = [o for o in quick(f"window={'-'.join(hours)} UTC", "name=night") if not o.startswith(("+", "run_dir="))]

    def write_till_morning(self: Jsonl, metrics: Any) -> None:
        nonlocal ahead
        write(self, metrics)
        ahead = 7200.0 if metrics.step == 2 else 0.0

    with monkeypatch.context() as patch:
        patch.setattr(Jsonl, "write", write_till_morning)
        state = finetune("quickstart", [*night, "train.steps=4"], return_state=True)
    assert (state.type, state.name) == (StateType.CANCELLED, "Paused")
    assert "has closed: stopped after step" in str(state.message)
    (folder,) = (tmp_path / "outputs/runs/night").iterdir()
    ahead = 0.0
    report = finetune("quickstart", [*night, "train.steps=4"])
    assert (report["status"], report["run_dir"]) == ("verified", str(folder))
    assert report["train"]["resumed_from"] in (2, 3), "the loop reads a step while the next one is computed"
    again = finetune("quickstart", [*night, "train.steps=4"])
    assert again["run_dir"] != str(folder), "what is finished is not gone on with"
    assert again["adapter"]["sha256"] == report["adapter"]["sha256"]


def test_a_second_run_reuses_the_tokens(quick: Quick, tmp_path: Path) -> None:
    _plain([*quick(), f"run_dir={tmp_path / 'a'}"])
    assert "built the token cache" in (tmp_path / "a/run.log").read_text()
    _plain([*quick(), f"run_dir={tmp_path / 'b'}"])
    assert "found the token cache" in (tmp_path / "b/run.log").read_text()


def test_a_failed_verdict_names_the_check(quick: Quick, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tasks.check import CHECKS, Finding

    monkeypatch.setitem(CHECKS, "reload_logits", lambda _: Finding(False, "max |d| 3"))
    with pytest.raises(VerifyError, match=r"reload_logits: max \|d\| 3"):
        module.main(quick("orchestrate=false"))
    assert json.loads((tmp_path / "run/report.json").read_text())["status"] == "failed"


def test_a_password_is_no_parameter_of_the_flow_and_reaches_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    typed = ["data.train=https://me:pa55word@host/rows.jsonl"]
    monkeypatch.setattr(module, "ready_for_prefect", lambda: None)
    monkeypatch.setattr(module, "surviving_lost_server", lambda: nullcontext(SimpleNamespace(report={})))
    monkeypatch.setattr(module, "say_report", lambda _: None)
    monkeypatch.setattr(module, "finetune", seen.update)
    module.main(typed)
    assert seen["overrides"] == ["data.train=https://me:***@host/rows.jsonl"]
    assert with_secrets(seen["overrides"]) == typed


def test_the_form_offers_the_experiments() -> None:
    schema = finetune.parameters.model_dump()
    properties = schema["properties"]
    assert properties["experiment"]["enum"] == ["none", *EXPERIMENTS]
    assert properties["overrides"]["items"] == {"type": "string"}
    assert "lora.rank=16" in properties["overrides"]["description"]


@pytest.mark.flow
@pytest.mark.filterwarnings("default")  # Prefect's server and its SQL driver warn in their own threads
def test_prefect_sees_the_stages_and_the_report(quick: Quick, prefect_server: None, tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client

    overrides = [o for o in quick() if not o.startswith("+experiment=")]
    report = finetune(experiment="quickstart", overrides=overrides)
    assert report["status"] == "verified"
    with get_client(sync_client=True) as client:
        (run,) = [r for r in client.read_flow_runs() if r.parameters.get("overrides") == overrides]
        assert run.name.startswith("quickstart ")
        assert run.state is not None
        assert run.state.is_completed()
        tasks = {t.name.split()[0]: t for t in client.read_task_runs() if t.flow_run_id == run.id}
        assert set(tasks) == {"tokenize", "plan", "inject", "train", "evaluate", "verify"}
        feeds = {
            (getattr(source, "id", None), name)
            for name, t in tasks.items()
            for inputs in t.task_inputs.values()
            for source in inputs
        }
        assert (tasks["tokenize"].id, "train") in feeds
        assert (tasks["inject"].id, "train") in feeds
        artifacts = {a.key: a for a in client.read_artifacts() if a.flow_run_id == run.id}  # other tests have theirs
    assert "data:image/svg+xml;base64," in str(artifacts["report"].data)
    assert json.loads(str(artifacts["figures"].data))
    assert artifacts["training"].data == 100.0


@pytest.mark.flow
@pytest.mark.filterwarnings("default")
def test_prefect_refuses_what_a_form_must_not_reach(prefect_server: None) -> None:
    from prefect.exceptions import ParameterTypeError

    with pytest.raises(ConfigError, match="not allowed here"):
        finetune(experiment="quickstart", overrides=["hydra.run.dir=/tmp"])
    with pytest.raises(ParameterTypeError, match="no experiment"):
        finetune(experiment="nope")
