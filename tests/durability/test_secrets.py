"""Secrets that are planted in a command and its surroundings stand in nothing that the run wrote or said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.conftest import QUICK

ROOT = Path(__file__).resolve().parents[2]
PASSWORD, TOKEN, AUTH = "pl4ntedpassw0rd", "hf_plantedplantedplanted", "admin:pl4ntedauth"
PLANTED = (PASSWORD, TOKEN[3:], AUTH.partition(":")[2])


def found_in(folder: Path) -> list[str]:
    """The files under a folder in which a planted secret stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(secret.encode() in path.read_bytes() for secret in PLANTED)]


@pytest.mark.flow
def test_nothing_that_a_run_writes_or_says_holds_a_secret(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HF_TOKEN": TOKEN,
        "PREFECT_API_AUTH_STRING": AUTH,
        "GRAFTLINE_GPU_LOCK": str(tmp_path / "lock"),
    }
    command = [sys.executable, "-m", "pipelines.finetune", *QUICK, "orchestrate=false"]
    command += [f"run_dir={tmp_path / 'run'}", f"+note=postgresql://me:{PASSWORD}@host/db"]
    refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    ran = subprocess.run(command[:-1], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    storage = f"sweep.storage=postgresql://me:{PASSWORD}@127.0.0.1:1/db"
    sweep = [sys.executable, "-m", "pipelines.sweep", "+sweep=rate_and_rank", *QUICK, "orchestrate=false", storage]
    failed = subprocess.run(sweep, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    said = [done.stdout + done.stderr for done in (refused, ran, failed)]
    assert not [text for text in said if any(secret in text for secret in PLANTED)]
    assert (tmp_path / "run/manifest.json").exists()
    assert found_in(tmp_path / "run") == []
