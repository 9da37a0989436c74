"""The best adapter: in full, copied out, and made again by its command."""

import json
import shlex
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from pipelines.config import compose
from pipelines.run.stages import run_stages
from pipelines.search.best import command, copy_best
from tasks.artifact import damaged_files
from tasks.errors import RunError, VerifyError
from tests.pipelines.conftest import QUICK
from tests.pipelines.search.searching import search_in

SHORT = [o for o in QUICK if not o.startswith(("+experiment=", "verify="))]
VALUES = {"lora.rank": 2, "optim.lr": 0.01}


def _plain(stage: Any) -> Any:
    return stage.fn


@pytest.fixture
def row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A trial that has been run."""
    monkeypatch.setattr("pipelines.run.stages.TOKENS", tmp_path / "tokens")
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))
    search = search_in(tmp_path / "sweep", *SHORT)
    changes = [*search.changes(VALUES), f"run_dir={search.trial_folder(3)}"]
    run_stages(compose(changes), changes, _plain)
    return {"number": 3, "values": VALUES, "where": "here:/there"}


def test_it_is_verified_in_full_and_copied_and_its_command_makes_the_same_bytes(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    search = search_in(tmp_path / "sweep", *SHORT)
    best = copy_best(search, row, _plain)
    folder = tmp_path / "sweep" / "best"
    assert best["adapter"] == str(folder / "adapter")
    assert "mlx_lm_logits" in best["checks"]  # which the trial, verify=quick, did without
    assert not damaged_files(folder)
    assert (folder / "command.txt").read_text().strip() == best["command"] == command(search, VALUES)
    report = json.loads((folder / "report.json").read_text())
    assert report["evaluate"]["answered"] == 4
    assert report["train"]["steps"] == 3
    overrides = [*shlex.split(best["command"])[3:], f"run_dir={tmp_path / 'again'}", "verify=quick"]
    assert run_stages(compose(overrides), overrides, _plain)["adapter"]["sha256"] == best["sha256"]
    assert copy_best(search, row, lambda _: pytest.fail("what is done is not done again")) == best


def test_what_the_trial_did_in_full_is_not_done_again_unless_its_adapter_changed(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    search = search_in(tmp_path / "sweep", *SHORT, "verify=quick", "evaluate.generate=0")
    best = copy_best(search, row, lambda _: pytest.fail("the trial did just that"))
    assert best["checks"] == ["files", "reload_logits", "resave_bytes", "frozen_base"]
    assert not damaged_files(tmp_path / "sweep" / "best")
    shutil.rmtree(tmp_path / "sweep" / "best")
    weights = search.trial_folder(3) / "adapter" / "adapters.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    again = copy_best(search, row, _plain)  # from its last checkpoint
    assert again["sha256"] == best["sha256"]


def test_one_that_does_not_pass_in_full_is_not_copied(
    tmp_path: Path, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.check import CHECKS, Finding

    monkeypatch.setitem(CHECKS, "mlx_lm_logits", lambda _: Finding(False, "max |d| 3"))
    with pytest.raises(VerifyError, match=r"of trial 3 at .*0003, is not verified: mlx_lm_logits: max \|d\| 3"):
        copy_best(search_in(tmp_path / "sweep", *SHORT), row, _plain)
    assert not (tmp_path / "sweep" / "best").exists()


def test_one_on_another_machine_is_named_with_its_command(tmp_path: Path) -> None:
    row, search = {"number": 3, "values": VALUES, "where": "there:/sweeps/0003"}, search_in(tmp_path, *SHORT)
    best = copy_best(search, row, lambda _: pytest.fail("there is nothing to run here"))
    assert best == {"adapter": None, "where": "there:/sweeps/0003", "command": command(search, VALUES)}


def test_one_that_is_gone_is_told_with_the_command_that_makes_it_again(tmp_path: Path) -> None:
    search = search_in(tmp_path, *SHORT)
    row = {"number": 3, "values": VALUES, "where": f"{socket.gethostname()}:{search.trial_folder(3)}"}
    with pytest.raises(RunError, match=r"of trial 3, is gone from .*0003; make it again with: python -m pipelines"):
        copy_best(search, row, _plain)
