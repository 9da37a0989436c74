"""Under Prefect: a server that dies costs nothing, and a signal is a cancel with a checkpoint."""

import signal
from pathlib import Path

import pytest

from tests.durability.killing import Killed, outcome
from tests.durability.serving import said, server, started

pytestmark = pytest.mark.flow
MORE = ("orchestrate=true", "train.save_every=5", "train.eval_every=20")


@pytest.fixture
def run(tmp_path: Path) -> Killed:
    run = Killed(tmp_path, steps=60, more=MORE)
    run.prepare()
    return run


def test_a_server_that_is_killed_in_mid_run_costs_nothing(run: Killed, tmp_path: Path) -> None:
    plain = Killed(tmp_path, steps=60, more=(*MORE, "orchestrate=false"))
    plain.finish(tmp_path / "plain")
    with server(tmp_path / "server") as lost:
        env = {**lost.env, "PREFECT_CLIENT_MAX_RETRIES": "1"}
        with started(run, tmp_path / "run", env, 10) as process:
            lost.process.kill()
            lost.process.wait()
            assert process.wait(300) == 0, said(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "plain")
    text = said(tmp_path / "run")
    assert "finetune: verified, held-out loss" in text
    assert "the Prefect server does not answer" in text
    assert text.count("the Prefect server was lost") == 1
    assert "Traceback" not in text


def test_a_signal_is_a_cancel_with_a_checkpoint_and_the_same_command_goes_on(run: Killed, tmp_path: Path) -> None:
    plain = Killed(tmp_path, steps=60, more=(*MORE, "orchestrate=false"))
    plain.finish(tmp_path / "plain")
    run_dir = tmp_path / "run"
    with server(tmp_path / "server") as there:
        for number, lines in ((signal.SIGTERM, 5), (signal.SIGINT, 20)):
            with started(run, run_dir, there.env, lines) as process:
                process.send_signal(number)
                assert process.wait(120) == 128 + number, said(run_dir)
            saved = max(int(path.name[5:]) for path in run_dir.glob("checkpoints/step-*"))
            assert f"stopped: stopped after step {saved} of 60, checkpoint saved; to resume, " in said(run_dir)
        process = run.start(run_dir, there.env)
        assert process.wait(300) == 0, said(run_dir)
        assert there.states() == [("CANCELLED", "Cancelled")] * 2 + [("COMPLETED", "Completed")]
    assert outcome(run_dir) == outcome(tmp_path / "plain")
    assert "Traceback" not in said(run_dir)
