"""A served run ends without a crash, which its exit code shows."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.orchestrate.served_run import COMMAND, starting_served_runs

ROOT = Path(__file__).resolve().parents[3]


def test_the_runner_starts_each_run_by_this_module() -> None:
    import prefect.runner.runner as module

    runner: Any = module
    stock = runner.EngineCommandStarter
    with starting_served_runs():
        assert runner.EngineCommandStarter(tmp_dir=None)._command == COMMAND
    assert runner.EngineCommandStarter is stock


@pytest.mark.flow
@pytest.mark.filterwarnings("default")  # Prefect's server and its SQL driver warn in their own threads
def test_a_served_run_exits_0(prefect_server: None, trained: Any) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import get_current_settings

    from pipelines.deploy.deployments import deployments

    verify = next(made for made in deployments("local", {}) if made.flow_name == "verify")
    path, source = trained()
    parameters = {"adapter": str(path), "overrides": ["verify=quick", f"model.path={source.path}"]}
    with get_client(sync_client=True) as client:
        identity: Any = verify.apply()
        run = client.create_flow_run_from_deployment(identity, parameters=parameters)
        env = {
            **os.environ,
            **get_current_settings().to_environment_variables(exclude_unset=True),
            "PREFECT_API_URL": str(client.api_url),
            "PREFECT__FLOW_RUN_ID": str(run.id),
        }
        command = [sys.executable, *COMMAND.split()[1:]]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        state = client.read_flow_run(run.id).state
        assert state is not None
        assert state.is_completed(), done.stderr
