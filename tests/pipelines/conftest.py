"""Fixtures of the commands: a quick run of the starter model that writes under a temporary folder, and one server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

QUICK = [
    "+experiment=quickstart",
    "verify=quick",
    "train.steps=3",
    "optim.warmup=1",
    "train.eval_every=2",
    "evaluate.examples=8",
    "evaluate.generate=4",
    "evaluate.max_new_tokens=8",
    "data.valid=examples/starter/valid.jsonl",
]


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Overrides of a run of seconds; caches and locks go to a temporary folder."""
    import pipelines.evaluate
    import pipelines.plan
    import pipelines.run.stages

    for module in (pipelines.run.stages, pipelines.plan, pipelines.evaluate):
        monkeypatch.setattr(module, "TOKENS", tmp_path / "tokens")
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))
    return lambda *more: [*QUICK, f"run_dir={tmp_path / 'run'}", *more]


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """One throw-away Prefect server for every flow test of the session."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield
