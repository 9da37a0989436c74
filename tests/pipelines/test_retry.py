"""A crash of the train task is tried again by Prefect, from the checkpoint; a mistake is not."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.durability.killing import Killed


@pytest.mark.flow
@pytest.mark.filterwarnings("default")  # Prefect's server and its SQL driver warn in their own threads
@pytest.mark.parametrize("mistake", [False, True])
def test_a_crash_is_tried_again_from_the_checkpoint_and_a_mistake_is_not(
    mistake: bool, prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipelines.run.stages as module
    from pipelines.finetune import finetune
    from tasks.errors import RunError
    from tasks.sink import Jsonl

    run, written, write = Killed(tmp_path, steps=8), list[int](), Jsonl.write
    run.prepare()

    def crash(sink: Jsonl, metrics: Any) -> None:
        write(sink, metrics)
        written.append(metrics.step)
        if written.count(5) == 1 and metrics.step == 5:
            raise RunError("a mistake") if mistake else OSError("the GPU was reset")

    monkeypatch.setattr(Jsonl, "write", crash)
    monkeypatch.setattr(module, "train", module.train.with_options(retry_delay_seconds=0))
    monkeypatch.setattr(module, "TOKENS", tmp_path / "tokens")
    monkeypatch.setenv("GRAFTLINE_GPU_LOCK", str(tmp_path / "gpu.lock"))
    overrides = [o for o in run.command(tmp_path / "run")[3:] if not o.startswith("orchestrate")]
    if mistake:
        with pytest.raises(RunError, match="a mistake"):
            finetune(experiment="none", overrides=overrides)
        assert written == [1, 2, 3, 4, 5]
        return
    report = finetune(experiment="none", overrides=overrides)
    assert written[:9] == [1, 2, 3, 4, 5, 4, 5, 6, 7]
    assert (report["status"], report["train"]["resumed_from"]) == ("verified", 3)
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 9))
